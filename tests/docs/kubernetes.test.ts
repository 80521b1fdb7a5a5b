/** The manifests in `deploy/kubernetes/`: against the types of Kubernetes, and against the server. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { promisify } from "node:util";
import * as v from "valibot";
import manifest from "../../package.json" with { type: "json" };
import { readConfig } from "../../server/config.ts";
import { helpText } from "../../server/help.ts";
import { read } from "../support/documents.ts";
import { temporaryFolder } from "../support/folder.ts";
import { serveHere } from "../support/http.ts";
import { onlyOn } from "../support/one-runtime.ts";
import { projectFolder } from "../support/process.ts";

/** Where `kubernetes-types` has the type of each kind. */
const TYPES: Readonly<Record<string, string>> = {
  Deployment: "apps/v1",
  Ingress: "networking/v1",
  NetworkPolicy: "networking/v1",
  PersistentVolumeClaim: "core/v1",
  PodDisruptionBudget: "policy/v1",
  Secret: "core/v1",
  Service: "core/v1",
};

const Labels = v.record(v.string(), v.string());
const Probe = v.object({
  httpGet: v.optional(v.object({ path: v.string(), port: v.string() })),
  tcpSocket: v.optional(v.object({ port: v.string() })),
});
const Container = v.object({
  image: v.string(),
  ports: v.array(v.object({ name: v.string(), containerPort: v.number() })),
  env: v.optional(v.array(v.object({ name: v.string(), value: v.string() })), []),
  envFrom: v.optional(v.array(v.object({ secretRef: v.object({ name: v.string() }) })), []),
  volumeMounts: v.optional(v.array(v.object({ name: v.string(), mountPath: v.string() })), []),
  livenessProbe: v.optional(Probe),
  readinessProbe: Probe,
  securityContext: v.object({
    allowPrivilegeEscalation: v.literal(false),
    readOnlyRootFilesystem: v.literal(true),
    capabilities: v.object({ drop: v.tuple([v.literal("ALL")]) }),
  }),
});
const Pod = v.object({
  enableServiceLinks: v.literal(false),
  automountServiceAccountToken: v.literal(false),
  terminationGracePeriodSeconds: v.optional(v.number(), 30),
  securityContext: v.looseObject({ runAsNonRoot: v.literal(true) }),
  containers: v.tuple([Container]),
  volumes: v.optional(
    v.array(
      v.object({
        name: v.string(),
        persistentVolumeClaim: v.object({ claimName: v.string() }),
      }),
    ),
    [],
  ),
});
const Deployment = v.object({
  spec: v.object({
    replicas: v.number(),
    selector: v.object({ matchLabels: Labels }),
    template: v.object({ metadata: v.object({ labels: Labels }), spec: Pod }),
  }),
});
const Service = v.object({
  metadata: v.object({ name: v.string() }),
  spec: v.object({
    selector: Labels,
    ports: v.array(v.object({ name: v.string(), port: v.number(), targetPort: v.string() })),
  }),
});
const Secret = v.object({ stringData: Labels });
const Ingress = v.object({
  spec: v.object({
    rules: v.array(
      v.object({
        host: v.string(),
        http: v.object({
          paths: v.array(
            v.object({
              path: v.string(),
              pathType: v.literal("Exact"),
              backend: v.object({
                service: v.object({ name: v.string(), port: v.object({ name: v.string() }) }),
              }),
            }),
          ),
        }),
      }),
    ),
  }),
});
const Any = v.looseObject({
  apiVersion: v.string(),
  kind: v.string(),
  metadata: v.object({ name: v.string() }),
});
type Resource = v.InferOutput<typeof Any>;

const { skip, note } = onlyOn("Bun", "it has a parser of YAML");

/** The resources of a file. */
function resourcesOf(file: string): Resource[] {
  const parsed: unknown = Bun.YAML.parse(read(`deploy/kubernetes/${file}`));
  return (Array.isArray(parsed) ? parsed : [parsed]).map((each) => v.parse(Any, each));
}

/** The resources of one kind, as far as the tests look at them. */
function ofKind<Schema extends v.GenericSchema>(
  file: string,
  kind: string,
  schema: Schema,
): v.InferOutput<Schema>[] {
  return resourcesOf(file)
    .filter((resource) => resource.kind === kind)
    .map((resource) => v.parse(schema, resource));
}

/** The Deployment of the server, and its container. */
function serverOf(file: string) {
  const found = ofKind(file, "Deployment", Deployment).find(
    ({ spec }) => spec.template.metadata.labels.app === "sync-server",
  );
  assert.ok(found);
  const [container] = found.spec.template.spec.containers;
  return { ...found.spec, pod: found.spec.template.spec, container };
}

/** The settings of a container, with what its secrets have. */
function settingsOf(file: string): Record<string, string> {
  const { container } = serverOf(file);
  const secrets = ofKind(file, "Secret", Secret).flatMap(({ stringData }) =>
    Object.entries(stringData),
  );
  const own = container.env.map(({ name, value }) => [name, value] as const);
  return Object.fromEntries([...(container.envFrom.length > 0 ? secrets : []), ...own]);
}

const SERVERS = ["server.yaml", "cluster.yaml"];

describe(`deploy/kubernetes${note}`, { skip }, () => {
  const folder = temporaryFolder();
  after(() => folder.remove());

  it("has what the types of Kubernetes have, and nothing else", { timeout: 120_000 }, async () => {
    const files = readdirSync(join(projectFolder, "deploy", "kubernetes"));
    assert.deepEqual(files.sort(), ["cluster.yaml", "ingress.yaml", "server.yaml"]);
    const check = async (name: string, resources: readonly Resource[]) => {
      const imports = Object.entries(TYPES).map(
        ([kind, from]) => `import type { ${kind} } from "kubernetes-types/${from}";`,
      );
      const values = resources.map((resource, i) => {
        assert.ok(Object.hasOwn(TYPES, resource.kind), resource.kind);
        return `export const r${i}: ${resource.kind} = ${JSON.stringify(resource)};`;
      });
      writeFileSync(join(folder.path, name), [...imports, ...values].join("\n"));
      const tsc = join(projectFolder, "node_modules", ".bin", "tsc");
      const options = ["--noEmit", "--strict", "--skipLibCheck", "--module", "preserve"];
      return promisify(execFile)(tsc, [...options, name], { cwd: folder.path }).then(
        () => "",
        ({ stdout }: { stdout: string }) => stdout,
      );
    };
    symlinkSync(join(projectFolder, "node_modules"), join(folder.path, "node_modules"));
    assert.equal(await check("all.ts", files.flatMap(resourcesOf)), "");
    const [first] = resourcesOf("ingress.yaml");
    assert.ok(first);
    const wrong = { ...first, spec: { rules: [{ http: { path: [] } }] } };
    assert.match(
      await check("wrong.ts", [wrong]),
      /"path"' does not exist in type 'HTTPIngressRuleValue'/,
    );
  });

  it("sets what the server takes, and nothing that it does not know", () => {
    const known = new Set([...helpText().matchAll(/^ {2}([A-Z_]+) /gm)].map(([, name]) => name));
    for (const file of SERVERS) {
      const settings = settingsOf(file);
      for (const name of Object.keys(settings)) {
        assert.ok(known.has(name) || name.startsWith("AWS_"), `${name} in ${file}`);
      }
      const config = readConfig(settings);
      const [rule] = ofKind("ingress.yaml", "Ingress", Ingress)[0]?.spec.rules ?? [];
      assert.equal(config.PUBLIC_URL, `https://${rule?.host}`);
      assert.ok(config.TRUSTED_PROXIES.length > 0);
    }
    assert.equal(readConfig(settingsOf("server.yaml")).CLUSTER, undefined);
    const { CLUSTER = "", STORAGE } = readConfig(settingsOf("cluster.yaml"));
    const { hostname, port } = new URL(CLUSTER);
    const redis = ofKind("cluster.yaml", "Service", Service).find(
      ({ metadata }) => metadata.name === hostname,
    );
    assert.equal(`${redis?.spec.ports[0]?.port}`, port);
    assert.ok(STORAGE.startsWith("s3://"));
  });

  it("keeps the data of one server in a folder of its volume, and that of several in none", () => {
    const { replicas, pod, container } = serverOf("server.yaml");
    const [mount, ...mounts] = container.volumeMounts;
    assert.deepEqual([replicas, mounts], [1, []]);
    assert.ok(settingsOf("server.yaml").STORAGE?.startsWith(`${mount?.mountPath}/`));
    const [volume] = pod.volumes;
    assert.equal(volume?.name, mount?.name);
    const claims = resourcesOf("server.yaml").filter(
      ({ kind }) => kind === "PersistentVolumeClaim",
    );
    assert.equal(claims[0]?.metadata.name, volume?.persistentVolumeClaim.claimName);
    // Or write permissions come to files that must not have them.
    assert.equal(pod.securityContext.fsGroupChangePolicy, "OnRootMismatch");
    const several = serverOf("cluster.yaml");
    assert.ok(several.replicas > 1);
    assert.deepEqual(several.container.volumeMounts, []);
  });

  it("probes paths that the server answers, and leads to its port", async () => {
    const image = read("Containerfile");
    const [, port] = /^EXPOSE (\d+)$/m.exec(image) ?? [];
    const server = await serveHere();
    for (const file of SERVERS) {
      const { container, pod } = serverOf(file);
      assert.equal(container.image.split(":")[1], manifest.version);
      assert.deepEqual(container.ports, [{ name: "http", containerPort: Number(port) }]);
      assert.ok(pod.terminationGracePeriodSeconds > 15);
      for (const probe of [container.livenessProbe, container.readinessProbe]) {
        assert.equal(probe?.httpGet?.port, "http");
        const answer = await fetch(new URL(probe?.httpGet?.path ?? "", server.url));
        assert.equal(answer.status, 200);
      }
    }
    await server.close();
  });

  it("has services that find their pods, and an ingress that finds the service", () => {
    for (const file of SERVERS) {
      const deployments = ofKind(file, "Deployment", Deployment);
      for (const { spec } of deployments) {
        assert.deepEqual(spec.selector.matchLabels, spec.template.metadata.labels);
      }
      for (const { spec } of ofKind(file, "Service", Service)) {
        const found = deployments.find(
          ({ spec: { template } }) => template.metadata.labels.app === spec.selector.app,
        );
        const names = found?.spec.template.spec.containers[0].ports.map(({ name }) => name);
        for (const { targetPort } of spec.ports) assert.ok(names?.includes(targetPort), file);
      }
      const [service] = ofKind(file, "Service", Service);
      const [ingress] = ofKind("ingress.yaml", "Ingress", Ingress);
      const paths = ingress?.spec.rules.flatMap(({ http }) => http.paths) ?? [];
      for (const { backend } of paths) {
        assert.equal(backend.service.name, service?.metadata.name);
        assert.equal(backend.service.port.name, service?.spec.ports[0]?.name);
      }
      const [, open = ""] = /@open path (.*)$/m.exec(read("deploy/Caddyfile")) ?? [];
      assert.deepEqual(
        paths.map(({ path }) => path),
        open.split(" "),
      );
    }
  });
});
