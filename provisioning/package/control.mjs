/*
 * What dpkg does with the package: its needs, its words, and the scripts that it runs as root. There is no question at
 * any time (no debconf), and nothing here ever deletes a key.
 */

const tooOld = `Shardkeep needs Node 20.19 or later. Debian 12 has Node 18: install Node 20 or later there first, for example NodeSource's
 package nodejs (https://github.com/nodesource/distributions), or use Debian 13, whose own nodejs will do.`;

export function control({ version, arch, kilobytes }) {
  return `Package: shardkeep
Version: ${version}
Architecture: ${arch}
Maintainer: Shardkeep <shardkeep@localhost>
Installed-Size: ${kilobytes}
Depends: nodejs (>= 20.19), libc6, libstdc++6, util-linux, systemd (>= 252), udev
Recommends: softhsm2
Suggests: mosquitto
Section: admin
Priority: optional
Description: splits a master key over a fleet of small appliances
 A master key that matters must not live in one place, and must not work without a person present. Shardkeep splits it into
 shards over boxes, each with an HSM, a fingerprint sensor and a display; it is usable only after the right people put a
 finger on a sensor. This package is both the agent of a box and the coordinator, with their units for systemd.
 .
 ${tooOld}
`;
}

/** Only words: with apt a newer Node may come in the same run, after this; dpkg checks the number itself. */
export const preinst = `#!/bin/sh
set -e
if command -v node > /dev/null && dpkg --compare-versions "$(node --version | tr -d v)" lt 20.19; then
  cat >&2 <<'END'
${tooOld.replaceAll("\n ", "\n")}
END
fi
`;

export const postinst = `#!/bin/sh
set -e
[ "$1" = configure ] || exit 0
systemd-sysusers /usr/lib/sysusers.d/shardkeep.conf
systemd-tmpfiles --create /usr/lib/tmpfiles.d/shardkeep.conf
[ -d /run/systemd/system ] || exit 0
systemctl daemon-reload
if [ -n "$2" ]; then
  # A box at a time would be better still: docs/operations.md, "Maintenance".
  systemctl try-restart 'shardkeep-agent@*.service' 'shardkeep-coordinator@*.service'
else
  echo "Shardkeep is installed. What to do next: /usr/share/doc/shardkeep/docs/field-guide.md"
fi
`;

export const prerm = `#!/bin/sh
set -e
[ "$1" = remove ] || exit 0
for unit in /etc/systemd/system/*.wants/shardkeep-agent@?*.service /etc/systemd/system/*.wants/shardkeep-coordinator@?*.service; do
  [ -L "$unit" ] || continue
  [ -d /run/systemd/system ] && systemctl stop "\${unit##*/}"
  rm -f "$unit"
done
if [ -d /run/systemd/system ]; then
  systemctl stop 'shardkeep-agent@*.service' 'shardkeep-coordinator@*.service'
fi
`;

export const postrm = `#!/bin/sh
set -e
if [ -d /run/systemd/system ]; then
  systemctl daemon-reload
fi
if [ "$1" = purge ]; then
  rmdir /etc/shardkeep 2> /dev/null || true
  if [ -d /var/lib/shardkeep ]; then
    cat >&2 <<'END'
Shardkeep is gone; its keys and shards are not. /var/lib/shardkeep, configurations in /etc/shardkeep, PINs in
/etc/credstore.encrypted/shardkeep-*.pin and the user shardkeep are left as they are. If this machine was retired from
its site (shardkeep status elsewhere does not name it any more), delete them for good:
  rm -r /var/lib/shardkeep /etc/shardkeep /etc/credstore.encrypted/shardkeep-*.pin && deluser shardkeep
END
  fi
fi
`;

/** debian-policy 12.5: who holds the copyright in every part, and under which licence it is. */
export function copyright(vendored) {
  const parts = vendored.map(({ name, version, license, by, from, texts }) => [
    `${"-".repeat(80)}\n${name} ${version}\nlicence: ${license}\nfrom: ${from}`,
    ...(by.length === 0 ? [] : [`by: ${by.join(", ")}`]),
    "",
    ...(texts.length === 0 ? [`(The package as published has no text of its licence, only its name: ${license}.)`] : texts),
  ].join("\n"));
  return `Shardkeep is under the Apache License 2.0, which on Debian is /usr/share/common-licenses/Apache-2.0.

In /usr/lib/shardkeep/node_modules it carries the packages below, each under its own licence, without what Node does
not read (types, sources of native modules, tests, documents).

${parts.join("\n\n")}
`;
}
