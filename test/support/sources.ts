import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import ts from "typescript";
import { root } from "#paths";


/** What runs at a site; the emulators and the demo are their own documents. */
const folders = ["agent", "firmware-bridge", "provisioning"];
const apart = /(?:^|\/)(?:emulators|demo|setup)\//;

/** The product's source files, parsed. */
export function productSources(): ts.SourceFile[] {
  return folders.flatMap((folder) => readdirSync(join(root, folder), { recursive: true, encoding: "utf8" }).map((file) => `${folder}/${file}`))
    .filter((file) => file.endsWith(".ts") && !apart.test(file))
    .map((file) => ts.createSourceFile(file, readFileSync(join(root, file), "utf8"), ts.ScriptTarget.ES2022, true));
}

export function eachNode(of: ts.Node, visit: (node: ts.Node) => void): void {
  visit(of);
  ts.forEachChild(of, (child) => { eachNode(child, visit); });
}

/** The property `name` of an object literal, also as a shorthand. */
function property(object: ts.Node | undefined, name: string): ts.Node | undefined {
  if (object === undefined || !ts.isObjectLiteralExpression(object)) return undefined;
  const found = object.properties.find((one) => one.name !== undefined && ts.isIdentifier(one.name) && one.name.text === name);
  return found !== undefined && ts.isPropertyAssignment(found) ? found.initializer : found;
}

const literalOf = (node: ts.Node | undefined): string | undefined => (node !== undefined && ts.isStringLiteral(node) ? node.text : undefined);
const isTrue = (node: ts.Node | undefined): boolean => node !== undefined && node.kind !== ts.SyntaxKind.FalseKeyword;

/** Makers of errors beside `new`: the coordinator's endings, the supervisor's. */
const makers = /^(?:operationError|this\.#error)$/;

/** Every error code that the sources have, and whether it is ever said to be retryable. */
export function errorCodes(sources: readonly ts.SourceFile[]): ReadonlyMap<string, { readonly retryable: boolean }> {
  const codes = new Map<string, { readonly retryable: boolean }>();
  const note = (code: string | undefined, retryable: boolean): void => {
    if (code !== undefined && /^[A-Z][A-Z_]+$/.test(code)) codes.set(code, { retryable: retryable || codes.get(code)?.retryable === true });
  };
  for (const source of sources) {
    const aliases = new Map<string, ts.TypeNode>();
    eachNode(source, (node) => { if (ts.isTypeAliasDeclaration(node)) aliases.set(node.name.text, node.type); });
    const union = (type: ts.Node): void => {
      eachNode(type, (node) => {
        if (ts.isLiteralTypeNode(node)) note(literalOf(node.literal), false);
        else if (ts.isTypeReferenceNode(node) && ts.isIdentifier(node.typeName)) {
          const alias = aliases.get(node.typeName.text);
          if (alias !== undefined) union(alias);
        }
      });
    };
    eachNode(source, (node) => {
      // class X extends ShardkeepError<"A" | "B">
      if (ts.isExpressionWithTypeArguments(node) && node.expression.getText() === "ShardkeepError") node.typeArguments?.forEach(union);
      // new X("A", message, options)
      if (ts.isNewExpression(node) && /Error$|^Refusal$/.test(node.expression.getText())) {
        note(literalOf(node.arguments?.[0]), isTrue(property(node.arguments?.[2], "retryable")));
      }
      if (ts.isCallExpression(node) && makers.test(node.expression.getText())) note(literalOf(node.arguments[0]), node.expression.getText() === "this.#error");
      // { code: "A", retryable: true }
      if (ts.isObjectLiteralExpression(node)) note(literalOf(property(node, "code")), isTrue(property(node, "retryable")));
      // NAME: { message, remedy }
      if (ts.isPropertyAssignment(node) && property(node.initializer, "remedy") !== undefined) note(node.name.getText(), isTrue(property(node.initializer, "retryable")));
    });
  }
  return codes;
}

/** Every event that a process logs: the first argument of `log.info`, `log.warn`, `log.error`. */
export function logEvents(sources: readonly ts.SourceFile[]): ReadonlySet<string> {
  const events = new Set<string>();
  for (const source of sources) {
    eachNode(source, (node) => {
      if (!ts.isCallExpression(node) || !/(?:^|\.)#?log\.(?:info|warn|error)$/.test(node.expression.getText())) return;
      events.add(literalOf(node.arguments[0]) ?? node.getText());
    });
  }
  return events;
}
