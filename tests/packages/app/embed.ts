/** A program that embeds the server. An import does not start it. */
import { createHandler, type Handler } from "@sync-server/server";

const create: (...options: Parameters<typeof createHandler>) => Handler = createHandler;
console.log(typeof create);
