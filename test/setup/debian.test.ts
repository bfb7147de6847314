import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import t, { type Test } from "tap";
import { debianStep, type Machine } from "#setup/debian";
import type { Command } from "#setup/steps";

const debian = 'PRETTY_NAME="Debian GNU/Linux 12"\nID=debian\n';

/** A machine that lacks `missing` until `arrive` is called, and a command that only takes notes. */
function setting(t: Test, osRelease: string, root: readonly string[] | null, missing: readonly string[]) {
  const folder = t.testdir({ "os-release": osRelease });
  const lacking = new Set(missing);
  const machine: Machine = {
    osRelease: join(folder, "os-release"),
    asRoot: () => root,
    unpacked: join(folder, "debian"),
    requirements: ["mosquitto", "softhsm2", "g++", "make"].map((name) => ({
      package: name, build: name === "g++" || name === "make", found: () => !lacking.has(name),
    })),
  };
  const lines: string[] = [];
  const note: Command = (file, args) => { lines.push([file, ...args].join(" ")); };
  return { machine, lines, note, arrive: () => { lacking.clear(); } };
}

void t.test("is needed for a run-time package always, for a compiler only where something is compiled", (t) => {
  t.equal(debianStep(() => true, setting(t, debian, [], []).machine).needed(), false);
  t.equal(debianStep(() => false, setting(t, debian, [], ["mosquitto"]).machine).needed(), true);
  t.equal(debianStep(() => true, setting(t, debian, [], ["g++"]).machine).needed(), true);
  t.equal(debianStep(() => false, setting(t, debian, [], ["g++"]).machine).needed(), false);
  const tested = (forTests?: boolean): boolean => debianStep(() => true, { ...setting(t, debian, [], []).machine, requirements: [{ package: "libfaketime", test: true, found: () => false }] }, forTests).needed();
  t.strictSame([tested(), tested(false)], [true, false], "what only tests need is not brought for the demo");
  t.end();
});

void t.test("another system ends with exit 69 and the packages' names, and nothing is run", (t) => {
  for (const system of ["ID=alpine\n", 'ID="rhel"\nID_LIKE="fedora centos"\n', "ID=notdebian\n", "HOME_URL=debian\n"]) {
    const { machine, lines, note } = setting(t, system, [], ["mosquitto", "g++"]);
    t.throws(() => { debianStep(() => true, machine).run(note); }, { exitCode: 69, message: /mosquitto, g\+\+/ }, system);
    t.strictSame(lines, []);
  }
  const { machine, note } = setting(t, "", [], ["softhsm2"]);
  t.throws(() => { debianStep(() => true, { ...machine, osRelease: "/no/os-release" }).run(note); }, { exitCode: 69, message: /softhsm2/ });
  t.end();
});

for (const [who, root] of [["root", []], ["sudo", ["sudo", "-n"]]] as const) {
  void t.test(`${who} installs exactly what is missing`, (t) => {
    const { machine, lines, note, arrive } = setting(t, "ID=ubuntu\nID_LIKE=debian\n", root, ["mosquitto", "make"]);
    debianStep(() => true, machine).run((...call) => {
      note(...call);
      if (call[1].includes("install")) arrive();
    });
    const as = [...root, "env DEBIAN_FRONTEND=noninteractive"].join(" ");
    t.strictSame(lines, [
      `${as} dpkg --configure -a`,
      `${as} apt-get -q update`,
      `${as} apt-get -q -y --no-install-recommends -o DPkg::Lock::Timeout=600 install mosquitto make`,
    ]);
    t.end();
  });
}

void t.test("without root and compiler: exit 69 and the one line to ask for", (t) => {
  const { machine, lines, note } = setting(t, debian, null, ["mosquitto", "g++", "make"]);
  t.throws(() => { debianStep(() => true, machine).run(note); }, {
    exitCode: 69, message: "a compiler is missing and needs root; ask for:\n  apt-get install -y --no-install-recommends g++ make",
  });
  t.strictSame(lines, []);
  t.end();
});

void t.test("without root: what apt downloads is unpacked, and is in place only when all of it is", (t) => {
  const { machine, lines, note, arrive } = setting(t, debian, null, ["mosquitto"]);
  const step = debianStep(() => true, machine);
  const command: Command = (file, args) => {
    note(file, args);
    const archives = join(`${machine.unpacked}.apt`, "archives");
    if (args.includes("--download-only")) for (const name of ["a.deb", "b.deb"]) writeFileSync(join(archives, name), "");
    if (file === "dpkg-deb") {
      t.notOk(existsSync(join(machine.unpacked, "a")));
      writeFileSync(join(String(args[2]), args[1]?.endsWith("a.deb") === true ? "a" : "b"), "");
    }
    if (args[1]?.endsWith("b.deb") === true) arrive();
  };
  t.throws(() => { step.run(() => { throw new Error("killed"); }); }, /killed/);
  t.notOk(existsSync(machine.unpacked));
  mkdirSync(machine.unpacked);
  writeFileSync(join(machine.unpacked, "earlier"), "");
  step.run(command);
  t.strictSame(["earlier", "a", "b"].map((name) => existsSync(join(machine.unpacked, name))), [true, true, true]);
  t.match(lines[1], /apt-get .*--download-only install mosquitto$/);
  t.end();
});

void t.test("a package that installs without its file is told, not looped over", (t) => {
  const { machine, note } = setting(t, debian, [], ["softhsm2"]);
  t.throws(() => { debianStep(() => true, machine).run(note); }, { exitCode: 69, message: /not where Debian has them: softhsm2/ });
  t.end();
});
