// Makes src/protocol.ts from the protocol's JSON Schema on standard input:
//   python -m layerfusion.server.protocol.json_schema | node make_types.mjs
// The first line of the result has the schema's SHA-256, by which the tests see whether it is current.
import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { compile } from "json-schema-to-typescript";

const text = readFileSync(0, "utf8").replaceAll("\r\n", "\n");
const digest = createHash("sha256").update(text).digest("hex");

// Messages travel as msgpack, which has bytes; JSON Schema says base64 for them. The compiler knows no prefixItems.
function withBytes(node) {
  if (node === null || typeof node !== "object") return node;
  if (Array.isArray(node)) return node.map(withBytes);
  if (node.contentEncoding === "base64") return { tsType: "Uint8Array" };
  if (node.prefixItems) return { tsType: `[${node.prefixItems.map(() => "number").join(", ")}]` };
  return Object.fromEntries(Object.entries(node).map(([key, value]) => [key, withBytes(value)]));
}

const code = await compile({ ...withBytes(JSON.parse(text)), title: "AnyMessage" }, "AnyMessage", {
  additionalProperties: false,
  bannerComment: `// Schema ${digest}\n// Made by make_types.mjs from the protocol's JSON Schema; changes belong there.`,
  ignoreMinAndMaxItems: true,
  unreachableDefinitions: true,
});
writeFileSync(new URL("src/protocol.ts", import.meta.url), code);
