import assert from "node:assert/strict";
import { describe, it } from "node:test";
import manifest from "../../package.json" with { type: "json" };
import { InvalidConfig, readConfig, VERSION } from "../../server/config.ts";
import { helpText } from "../../server/help.ts";
import type { Config } from "../../server/settings.ts";

const DEFAULTS: { [Name in keyof Config]: [text: string, value: Config[Name]] } = {
  HOST: ["localhost", "localhost"],
  PORT: ["8080", 8080],
  STORAGE: ["./data", "./data"],
  LISTING_TTL: ["30s", 30_000],
  CLUSTER: ["none", undefined],
  LISTING_CACHE_RUNS: ["1000000", 1_000_000],
  OBJECT_CACHE_BYTES: ["64MiB", 67_108_864],
  JOURNAL: ["on", "on"],
  COMPACTION: ["on", "on"],
  PACKED_RETENTION: ["15m", 900_000],
  RETENTION: ["off", undefined],
  RATE_LIMIT: ["20", 20],
  RATE_BURST: ["200", 200],
  SIGNATURES: ["optional", "optional"],
  PUBLIC_URL: ["none", undefined],
  USERS: ["open", "open"],
  QUOTA_BYTES: ["1GiB", 1_073_741_824],
  QUOTA_CLIENTS: ["1000", 1000],
  NEW_USERS_PER_HOUR: ["100", 100],
  TRUSTED_PROXIES: ["none", []],
  MAX_BODY: ["16MiB", 16_777_216],
  MAX_REQUESTS: ["1000", 1000],
  MAX_BUFFERED: ["128MiB", 134_217_728],
  CLIENT_TIMEOUT: ["30s", 30_000],
  MAX_WAIT: ["55s", 55_000],
  MAX_WAITING: ["10000", 10_000],
  CORS_ORIGIN: ["*", "*"],
  DEMO: ["on", "on"],
  STATUS_TOKEN: ["off", undefined],
  LOG: ["info", "info"],
  LOG_FORMAT: ["json", "json"],
};

const accepted: { [Name in keyof Config]: [text: string, value: Config[Name]][] } = {
  HOST: [
    ["0.0.0.0", "0.0.0.0"],
    ["::1", "::1"],
    ["[::1]", "::1"],
    ["unix:/run/sync.sock", "unix:/run/sync.sock"],
  ],
  PORT: [
    ["0", 0],
    ["65535", 65_535],
  ],
  STORAGE: [
    ["memory:", "memory:"],
    ["s3://bucket", "s3://bucket"],
    ["s3://my.bucket-1/a prefix/of two", "s3://my.bucket-1/a prefix/of two"],
    ["/var/lib/sync server", "/var/lib/sync server"],
    ["data", "data"],
    ["C:\\data", "C:\\data"],
    ["./a:b", "./a:b"],
  ],
  CLUSTER: [
    ["redis://127.0.0.1:6379", "redis://127.0.0.1:6379"],
    ["rediss://:secret@cache.example/2?prefix=a", "rediss://:secret@cache.example/2?prefix=a"],
    ["redis://[::1]", "redis://[::1]"],
  ],
  LISTING_TTL: [
    ["0", 0],
    ["500ms", 500],
    ["30s", 30_000],
    ["5m", 300_000],
    ["2h", 7_200_000],
    ["forever", Number.POSITIVE_INFINITY],
  ],
  LISTING_CACHE_RUNS: [
    ["1", 1],
    ["20000000", 20_000_000],
  ],
  JOURNAL: [["off", "off"]],
  COMPACTION: [["off", "off"]],
  RETENTION: [
    ["30d", 2_592_000_000],
    ["1h", 3_600_000],
  ],
  PACKED_RETENTION: [
    ["0", 0],
    ["24h", 86_400_000],
  ],
  OBJECT_CACHE_BYTES: [
    ["0", 0],
    ["500000", 500_000],
    ["512KiB", 524_288],
    ["2GiB", 2_147_483_648],
  ],
  RATE_LIMIT: [
    ["0", 0],
    ["0.5", 0.5],
    ["1000", 1000],
  ],
  RATE_BURST: [
    ["1", 1],
    ["1.5", 1.5],
  ],
  SIGNATURES: [["required", "required"]],
  PUBLIC_URL: [
    ["https://sync.example", "https://sync.example"],
    ["https://Sync.Example:443/", "https://sync.example"],
    ["http://localhost:8080", "http://localhost:8080"],
    ["https://example.com/behind/a/path/", "https://example.com/behind/a/path"],
  ],
  USERS: [
    ["./users", "./users"],
    ["/etc/sync server/users.txt", "/etc/sync server/users.txt"],
  ],
  QUOTA_BYTES: [
    ["0", 0],
    ["500MiB", 524_288_000],
  ],
  QUOTA_CLIENTS: [
    ["0", 0],
    ["1", 1],
  ],
  NEW_USERS_PER_HOUR: [
    ["0", 0],
    ["1", 1],
  ],
  TRUSTED_PROXIES: [
    ["127.0.0.1", ["127.0.0.1"]],
    ["unix", ["unix"]],
    ["::1, 10.0.0.0/8,fc00::/7", ["::1", "10.0.0.0/8", "fc00::/7"]],
    [
      "0.0.0.0/0,::/0,192.0.2.1/32,2001:db8::1/128",
      ["0.0.0.0/0", "::/0", "192.0.2.1/32", "2001:db8::1/128"],
    ],
  ],
  MAX_REQUESTS: [
    ["2", 2],
    ["5000", 5000],
  ],
  MAX_BUFFERED: [
    ["32MiB", 33_554_432],
    ["1GiB", 1_073_741_824],
  ],
  CLIENT_TIMEOUT: [
    ["100ms", 100],
    ["30s", 30_000],
    ["4m", 240_000],
  ],
  MAX_WAIT: [
    ["0", 0],
    ["1000ms", 1000],
    ["4m", 240_000],
  ],
  MAX_WAITING: [
    ["2", 2],
    ["100000", 100_000],
  ],
  MAX_BODY: [
    ["1024", 1024],
    ["1KiB", 1024],
    ["3MiB", 3_145_728],
  ],
  CORS_ORIGIN: [
    ["https://app.example", ["https://app.example"]],
    [
      "https://app.example, http://localhost:5173,capacitor://localhost",
      ["https://app.example", "http://localhost:5173", "capacitor://localhost"],
    ],
  ],
  DEMO: [["off", "off"]],
  STATUS_TOKEN: [
    ["off", undefined],
    ["x".repeat(20), "x".repeat(20)],
    ["a:colon!and~signs-of-ASCII", "a:colon!and~signs-of-ASCII"],
  ],
  LOG: [
    ["silent", "silent"],
    ["error", "error"],
    ["debug", "debug"],
  ],
  LOG_FORMAT: [["text", "text"]],
};

const size = /must be a size of at least \d+ bytes, such as 500000, 512KiB, 16MiB or 1GiB/;
const notSizes = ["", "-1", "1.5MiB", "16MB", "16 MiB", "16mib", "MiB", "1e6", "0x10", "1TiB"];
const unsafeSizes = ["9007199254740993", "99999999GiB", "5constructor"];

const refused: { [Name in keyof Config]: [texts: string[], rule: RegExp] } = {
  HOST: [["", " ", "localhost\r", '"::1"', "unix:"], /must be a host name, an address, or unix: /],
  PORT: [
    ["", "-1", "65536", "80.5", "http", "0x50", " 80", "1e3"],
    /must be a port from 0 to 65535; 0 picks a free one/,
  ],
  STORAGE: [
    [
      "",
      "ftp://host/folder",
      "nonsense:",
      "MEMORY:",
      "memory:x",
      "constructor:x",
      "s3://",
      "s3:bucket",
      "s3:///x",
    ],
    /must be the path of a folder/,
  ],
  LISTING_TTL: [
    ["", "30", "-1s", "1.5s", "30 s", "30S", "1d", "s", "Forever", "never", "5constructor"],
    /must be a time such as 500ms, 30s, 5m or 2h, or 0, or forever/,
  ],
  CLUSTER: [
    [
      "",
      "127.0.0.1:6379",
      "http://cache.example",
      "redis://",
      "redis://cache.example/a",
      "redis:cache",
    ],
    /must be none or an address such as redis:/,
  ],
  LISTING_CACHE_RUNS: [
    ["", "0", "-5", "1.5", "1e6", "many", "9007199254740993"],
    /must be a whole number of at least 1/,
  ],
  OBJECT_CACHE_BYTES: [[...notSizes, ...unsafeSizes], size],
  JOURNAL: [["", "yes", "ON", "1"], /must be on or off/],
  COMPACTION: [["", "yes", "ON", "1"], /must be on or off/],
  PACKED_RETENTION: [
    ["", "-1m", "15", "25h", "forever"],
    /must be a time of at most 24h, such as 15m, or 0/,
  ],
  RETENTION: [
    ["", "on", "30", "59m", "1.5d", "30 d", "forever", "0", "1w", "5constructor"],
    /must be off or an age of at least 1h, such as 30d/,
  ],
  RATE_LIMIT: [
    ["", "-1", "1e3", ".5", "5.", "Infinity", "NaN", "many", "9".repeat(400)],
    /must be a number of at least 0, such as 20 or 0.5; 0 turns the limit off/,
  ],
  RATE_BURST: [["", "0", "0.5", "-1", "Infinity"], /must be a number of at least 1/],
  SIGNATURES: [["", "none", "Required", "true"], /must be one of optional, required/],
  PUBLIC_URL: [
    [
      "",
      "sync.example",
      "ftp://sync.example",
      "https://",
      "https://sync.example/?a=b",
      "https://sync.example/#a",
      "https://user@sync.example",
      "https://a b",
    ],
    /must be none or an address such as https:\/\/sync\.example/,
  ],
  USERS: [[""], /must be open or the path of a file/],
  QUOTA_BYTES: [[...notSizes, ...unsafeSizes], size],
  QUOTA_CLIENTS: [
    ["", "-1", "1.5", "many"],
    /must be a whole number of at least 0; 0 sets no limit/,
  ],
  NEW_USERS_PER_HOUR: [
    ["", "-1", "1.5", "many"],
    /must be a whole number of at least 0; 0 sets no limit/,
  ],
  TRUSTED_PROXIES: [
    [
      "",
      ",",
      "caddy",
      "10.0.0.0/33",
      "10.0.0.0/",
      "::/129",
      "10.0.0.1/8/8",
      "10.0.0.0/x",
      "none,10.0.0.1",
      "10.0.0.1,",
      "256.0.0.1",
      "10.0.0.1:80",
    ],
    /must be none or addresses such as 192.0.2.1 or 10.0.0.0\/8, or unix, separated by commas/,
  ],
  MAX_BODY: [[...notSizes, ...unsafeSizes, "0", "1023"], size],
  MAX_REQUESTS: [["", "0", "1", "2.5", "many"], /must be a whole number of at least 2/],
  MAX_BUFFERED: [[...notSizes, ...unsafeSizes, "0", "2047"], size],
  CLIENT_TIMEOUT: [
    ["", "0", "30", "99ms", "241s", "5m", "1h", "forever", "-1s", "1.5s"],
    /must be a time from 100ms to 4m, such as 30s/,
  ],
  MAX_WAIT: [
    ["", "55", "500ms", "1500ms", "241s", "forever", "-1s", "1.5s"],
    /must be a time of whole seconds up to 4m, such as 55s, or 0/,
  ],
  MAX_WAITING: [["", "0", "1", "2.5", "many"], /must be a whole number of at least 2/],
  CORS_ORIGIN: [
    [
      "",
      ",",
      "app.example",
      "https://",
      "https://app.example/",
      "https://app.example/page",
      "https://a.example,",
      "https://app example",
      "*,https://a.example",
      "https://App.example",
      "https://app.example:443",
      "https://*.example",
      "capacitor://*",
      "null",
    ],
    /must be \* or origins such as https:\/\/app.example, separated by commas/,
  ],
  DEMO: [["", "yes", "OFF", "0"], /must be on or off/],
  STATUS_TOKEN: [
    ["", "on", "x".repeat(19), "x".repeat(201), "twenty characters and a space", "ä".repeat(20)],
    /must be off or at least 20 visible ASCII characters/,
  ],
  LOG: [["", "INFO", "warn", "verbose"], /must be one of silent, error, info, debug/],
  LOG_FORMAT: [["", "JSON", "logfmt"], /must be one of json, text/],
};

/** The lines of the error for some settings. */
function faultsOf(settings: Record<string, string>): string[] {
  try {
    readConfig(settings);
  } catch (error) {
    assert.ok(error instanceof InvalidConfig, String(error));
    return error.message.split("\n");
  }
  assert.fail(`${JSON.stringify(settings)} was taken`);
}

describe("the settings", () => {
  it("have defaults", () => {
    const expected = Object.entries(DEFAULTS).map(([name, [, value]]) => [name, value]);
    assert.deepEqual(readConfig({}), Object.fromEntries(expected));
  });

  it("leave other environment variables alone", () => {
    assert.deepEqual(readConfig({ PATH: "/bin", port: "x", LOG: undefined }), readConfig({}));
  });

  for (const [name, rows] of Object.entries(accepted)) {
    it(`take ${name} as ${rows.map(([text]) => text).join(" | ")}`, () => {
      for (const [text, value] of rows) {
        assert.deepEqual(readConfig({ [name]: text }), { ...readConfig({}), [name]: value });
      }
    });
  }

  for (const [name, [texts, rule]] of Object.entries(refused)) {
    it(`refuse ${name} that breaks its rule, and show the rule without the value`, () => {
      for (const text of texts) {
        const [fault = "", ...more] = faultsOf({ [name]: text });
        assert.ok(fault.startsWith(`${name} must be `), fault);
        assert.match(fault, rule);
        assert.deepEqual(more, []);
      }
    });
  }

  it("refuse a MAX_BUFFERED below twice MAX_BODY", () => {
    assert.deepEqual(faultsOf({ MAX_BODY: "64MiB", MAX_BUFFERED: "127MiB" }), [
      "MAX_BUFFERED must be at least twice MAX_BODY",
    ]);
    assert.match(faultsOf({ MAX_BODY: "65MiB" }).join(), /must be at least twice MAX_BODY/);
    assert.equal(readConfig({ MAX_BODY: "64MiB" }).MAX_BODY, 67_108_864);
  });

  it("report all faults at once", () => {
    const wrong = Object.fromEntries(Object.keys(refused).map((name) => [name, ""]));
    const faults = faultsOf(wrong);
    assert.deepEqual(
      faults.map((line) => line.split(" ")[0]),
      Object.keys(refused),
    );
  });
});

describe("a path among the settings", () => {
  const wrong = [
    "/data\r",
    "/data\n",
    " /data",
    "/data ",
    '"/data"',
    "'/data'",
    "/data'",
    "~/data",
    "~",
    "$HOME/data",
    "/da\u0007ta",
    "s3://bucket/prefix ",
  ];
  for (const name of ["STORAGE", "USERS"]) {
    it(`is refused in ${name} where it has what a shell would have taken away`, () => {
      for (const text of wrong) {
        const [fault = "", ...more] = faultsOf({ [name]: text });
        assert.ok(fault.startsWith(`${name} must be set without quotes`), `${text}: ${fault}`);
        assert.deepEqual(more, []);
      }
      readConfig({ [name]: "/home/some one/it's ~here $5" });
    });
  }
});

describe("a name that is nearly a setting", () => {
  it("is a fault that names the setting and no value", () => {
    for (const [name, setting] of [
      ["SIGNATURE", "SIGNATURES"],
      ["SIGNTAURES", "SIGNATURES"],
      ["Signatures", "SIGNATURES"],
      ["STROAGE", "STORAGE"],
      ["PUBLICURL", "PUBLIC_URL"],
      ["PUBLIC_URI", "PUBLIC_URL"],
      ["MAXBODY", "MAX_BODY"],
      ["MAX-BODY", "MAX_BODY"],
      ["CORS_ORIGINS", "CORS_ORIGIN"],
      ["QUOTA_BYTE", "QUOTA_BYTES"],
      ["HOSTS", "HOST"],
      ["PROT", "PORT"],
      ["LOGS", "LOG"],
    ] as const) {
      assert.deepEqual(faultsOf({ [name]: "secret" }), [
        `${name} is not a setting: is it meant to be ${setting}? Otherwise unset it.`,
      ]);
    }
  });

  it("is reported beside the other faults", () => {
    const [first = "", second = "", ...more] = faultsOf({ SIGNATURE: "required", PORT: "x" });
    assert.match(first, /^SIGNATURE is not a setting/);
    assert.match(second, /^PORT must be/);
    assert.deepEqual(more, []);
  });

  it("is none of the names that every system has", () => {
    const names = [
      ..."HOME PATH USER LOGNAME LANG TERM PWD MAIL TZ TMPDIR SHELL HOSTNAME LC_ALL DISPLAY".split(
        " ",
      ),
      ..."NODE_ENV NODE_OPTIONS NO_COLOR CI EDITOR PAGER OLDPWD SHLVL HOSTTYPE LOGDIR".split(" "),
      ..."http_proxy HTTP_PROXY no_proxy port host log user users demo UV_THREADPOOL_SIZE".split(
        " ",
      ),
      ..."AWS_REGION AWS_PROFILE SSH_CLIENT SYSTEMD_EXEC_PID JOURNAL_STREAM npm_config_cache".split(
        " ",
      ),
    ];
    const environment = Object.fromEntries(names.map((name) => [name, "x"]));
    assert.deepEqual(readConfig(environment), readConfig({}));
    assert.deepEqual(
      readConfig({ PATH: "/bin", ...process.env, ...onlyDefaults() }),
      readConfig({}),
    );
  });
});

/** Unsets every setting that the environment of the tests may have. */
function onlyDefaults(): Record<string, undefined> {
  return Object.fromEntries(Object.keys(DEFAULTS).map((name) => [name, undefined]));
}

describe("the help text", () => {
  it("names the settings of a bucket, and shows an example", () => {
    for (const text of ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION", "-h, --help"]) {
      assert.ok(helpText().includes(text), text);
    }
    assert.match(helpText(), /^ {2}SIGNATURES=required PORT=9000 sync-server \.\/data$/m);
  });

  it("has every setting with its default, in lines that fit a terminal", () => {
    const help = helpText();
    for (const [name, [text]] of Object.entries(DEFAULTS)) {
      const line = help.split("\n").find((line) => line.startsWith(`  ${name} `)) ?? "";
      const [, shown = "", meaning = ""] = line.trim().split(/\s{2,}/);
      assert.equal(shown, text, `the default of ${name}`);
      assert.match(meaning, /^\w/, `the meaning of ${name}`);
    }
    for (const line of help.split("\n")) assert.ok(line.length <= 100, line);
  });

  it("has the version", () => {
    assert.equal(VERSION, manifest.version);
    assert.match(helpText(), new RegExp(`^Sync-Server ${VERSION.replaceAll(".", "\\.")}:`));
  });
});
