/** The software bill of materials of a build, as CycloneDX 1.5 (https://cyclonedx.org/docs/1.5/json/). */
import manifest from "../package.json" with { type: "json" };
import type { Package } from "./licences.ts";

/** Scanners compare the packages in it with lists of known vulnerabilities. */
export function billOfMaterials(packages: readonly Package[]) {
  return {
    $schema: "http://cyclonedx.org/schema/bom-1.5.schema.json",
    bomFormat: "CycloneDX",
    specVersion: "1.5",
    version: 1,
    metadata: { component: { type: "application", ...componentOf(manifest) } },
    // A version that is installed in two places is one component.
    components: [
      ...new Map(packages.map(componentOf).map((each) => [each.purl, each])).values(),
    ].map((component) => ({ type: "library", ...component })),
  };
}

function componentOf({ name, version, license }: Omit<Package, "text">) {
  // https://github.com/package-url/purl-spec: of the name, only the @ of its scope is escaped.
  const purl = `pkg:npm/${name.replace("@", "%40")}@${version}`;
  const isExpression = license.includes(" ");
  const licence = isExpression ? { expression: license } : { license: { id: license } };
  return { "bom-ref": purl, name, version, purl, licenses: [licence] };
}
