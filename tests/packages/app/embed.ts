/** A program that embeds the server. The import starts nothing: it ends by itself. */
import { createHandler, createLogger, openStorage, readConfig } from "@sync-server/server";

const config = readConfig({ STORAGE: "memory:" });
const driver = await openStorage(config.STORAGE);
const handler = createHandler({ config, driver, logger: createLogger("error") });
const response = await handler.fetch(new Request("http://localhost/health"));
console.log(await response.text());
await handler.stop();
await driver.close();
