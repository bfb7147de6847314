import tseslint from "typescript-eslint";

/**
 * Who may import whom (design §3). A folder may always import itself and agent/runtime.
 * `sides` are the client modules of the processes next door: typed calls, no logic.
 */
const hsmClient = "agent/hsm/client.ts";
const bridgeClient = "firmware-bridge/client.ts";
const table = {
  "agent/runtime": [],
  "agent/protocol": [],
  "agent/sharding": [],
  "agent/store": [],
  "agent/rules": ["agent/sharding", "agent/protocol"],
  "agent/mqtt": ["agent/protocol"],
  "agent/hsm": ["agent/sharding", "agent/protocol"],
  "agent/enclave": ["agent/sharding", "agent/protocol"],
  "agent/client": ["agent/mqtt", "agent/protocol"],
  "agent/box": ["agent/rules", hsmClient, bridgeClient, "agent/mqtt", "agent/store", "agent/sharding", "agent/protocol"],
  "agent/coordinator": ["agent/rules", hsmClient, "agent/enclave/client.ts", "agent/mqtt", "agent/store", "agent/sharding", "agent/protocol"],
  // The recovery key is split, and put together, where its custodians type: never at the coordinator (protocol.md §2).
  "provisioning": ["agent/client", "agent/rules", hsmClient, bridgeClient, "agent/protocol", "agent/sharding"],
  // The demo plays the attacker too: it speaks on the wire and opens stores with what it stole, combines shards,
  // runs a box that lies, and moves the emulated fingers.
  "provisioning/demo": [
    "agent/client", "agent/rules", hsmClient, bridgeClient, "agent/protocol", "agent/mqtt", "agent/store", "agent/sharding",
    "agent/box/config.ts", "agent/box/shelf.ts", "agent/box/start.ts", "agent/coordinator/config.ts", "agent/coordinator/reshard/journal.ts",
    "firmware-bridge/emulators/control.ts",
  ],
  "firmware-bridge": [],
  // The sensor's driver and its emulator are written from the same facts and check each other: no shared code.
  "firmware-bridge/biometrics": ["firmware-bridge/serial"],
  // The sensor's ring light shows what the panel shows.
  "firmware-bridge/panel": ["firmware-bridge/serial", "firmware-bridge/biometrics/sensor.ts"],
  "firmware-bridge/serial": [],
  "firmware-bridge/emulators": [],
};
// What looks after one machine's own state, beside the agent whose state it is.
const upkeep = [
  "agent/client", "agent/rules", hsmClient, bridgeClient, "agent/protocol", "agent/mqtt", "agent/store", "agent/box/config.ts", "agent/coordinator/config.ts",
  "provisioning/machine", "provisioning/doctor", "provisioning/backup",
];
for (const folder of ["machine", "doctor", "backup", "bundle"]) table[`provisioning/${folder}`] = upkeep;
const folders = Object.keys(table);

/** Forbids, for the files of `folder`, every other folder that its row does not name. */
function importRule(folder, allowed) {
  const forbidden = folders.filter((other) => other !== folder && other !== "agent/runtime"
    && !other.startsWith(`${folder}/`) && !folder.startsWith(`${other}/`) && !allowed.includes(other));
  const patterns = forbidden.map((other) => {
    const opened = allowed.filter((entry) => entry.startsWith(`${other}/`)).map((entry) => entry.slice(other.length + 1));
    const except = opened.length === 0 ? "" : `(?!(?:${opened.join("|").replaceAll(".", "\\.")})$)`;
    const top = `${folder.split("/")[0]}/`;
    const name = other.startsWith(top) ? other.slice(top.length) : other;
    return { regex: `^(?:\\.\\./)+(?:.*/)?${name}/${except}`, message: `${folder} may not import ${other} (design §3)` };
  });
  if (folder === "firmware-bridge") {
    patterns.push({ regex: "^\\./emulators/", message: "the bridge never imports the emulators" });
  }
  if (folder === "firmware-bridge/emulators") {
    patterns.push({ regex: "^(?:\\.\\./)+(?:biometrics|serial|panel|firmware)/", message: "the emulator shares no code with the driver it checks" });
  }
  return { files: [`${folder}/**/*.ts`], rules: { "no-restricted-imports": ["error", { patterns }] } };
}

const browserGlobals = [{ name: "name" }, { name: "event" }];
const injected = "is injected here (design §3): take it from the Clock, Random or transport you were given";

export default tseslint.config(
  { ignores: ["dist/", "node_modules/", ".cache/", ".tap/"] },
  {
    files: ["**/*.ts"],
    extends: [tseslint.configs.strictTypeChecked],
    languageOptions: { parserOptions: { project: "./tsconfig.json", tsconfigRootDir: import.meta.dirname } },
    rules: {
      // There are no enums (erasableSyntaxOnly); looking for one in every assignment takes a quarter of the time.
      "@typescript-eslint/no-unsafe-enum-assignment": "off",
      "@typescript-eslint/no-floating-promises": "error",
      "@typescript-eslint/no-misused-promises": "error",
      "@typescript-eslint/restrict-template-expressions": ["error", { allowNumber: true, allowBoolean: true }],
      "@typescript-eslint/switch-exhaustiveness-check": "error",
      "@typescript-eslint/consistent-type-imports": "error",
      "no-restricted-globals": ["error", ...browserGlobals],
      "no-restricted-syntax": ["error", { selector: "CallExpression[callee.name='generateKeyPairSync']", message: "hangs one start in a hundred on Node 20: docs/decisions/0005" }],
      "no-warning-comments": ["error", { terms: ["todo", "fixme", "xxx"] }],
    },
  },
  ...folders.map((folder) => importRule(folder, table[folder])),
  {
    files: ["agent/rules/**/*.ts", "agent/box/**/*.ts", "agent/coordinator/**/*.ts"],
    ignores: ["agent/box/main.ts", "agent/coordinator/main.ts"],
    rules: {
      "no-restricted-globals": ["error", ...browserGlobals, ...["Date", "performance", "setTimeout", "setInterval", "setImmediate", "crypto"].map((name) => ({ name, message: `${name} ${injected}` }))],
      "no-restricted-properties": ["error", { object: "Math", property: "random", message: `Math.random ${injected}` }],
    },
  },
  {
    files: ["test/**/*.ts"],
    rules: {
      "@typescript-eslint/no-non-null-assertion": "off",
      "@typescript-eslint/no-confusing-void-expression": "off",
      // tap wants a promise of every test, also of one that awaits nothing.
      "@typescript-eslint/require-await": "off",
      "no-restricted-syntax": "off",
    },
  },
);
