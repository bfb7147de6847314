#!/bin/bash
# Runs inside the booted Debian, as a tech would type it: every line of /out/result is `ok …` or `FAILED …`.
exec > /out/log 2>&1
set -x
deb=$(ls /out/shardkeep_*.deb)

check() { # WHAT COMMAND…
  local what=$1
  shift
  if "$@"; then echo "ok     $what" >> /out/result; else echo "FAILED $what" >> /out/result; fi
}
property() { systemctl show --value -p "$2" "$1"; }
until_is() { # UNIT PROPERTY REGEX SECONDS
  for ((n = 0; n < $4 * 10; n++)); do
    [[ $(property "$1" "$2") =~ $3 ]] && return 0
    sleep 0.1
  done
  systemctl status --no-pager "$1"
  return 1
}
as() { runuser -u shardkeep -- "$@"; }
box=shardkeep-agent@box-1
site=shardkeep-coordinator@plant
state=/var/lib/shardkeep
own() { stat -c '%U %a' "$1"; }
main() { property "$1" MainPID; }

# Install.
check "dpkg installs it" dpkg -i "$deb"
check "its user, its folders" [ "$(own $state) / $(own /etc/shardkeep)" = "shardkeep 700 / root 750" ]
check "nobody logs in as it" grep -q '^shardkeep:.*:/usr/sbin/nologin$' /etc/passwd
check "systemd knows its units" systemctl cat shardkeep-agent@.service

# The site.
cd /etc/shardkeep || exit
cp coordinator.yaml.example plant.yaml
sed 's/coordinator.example/127.0.0.1/; /^panel:/,/path:/d' box.yaml.example > box-1.yaml
check "site init" as shardkeep site init --config /etc/shardkeep/plant.yaml
check "the coordinator starts, and is ready" systemctl enable --now $site
check "it says what it does" until_is $site StatusText '^serves, connected to mqtts://' 20

# A box.
export SHARDKEEP_CLIENT=$state/plant/clients/admin/client.yaml
check "box request" as shardkeep box request --config /etc/shardkeep/box-1.yaml --out /tmp/request
check "site approve" shardkeep site approve /tmp/request --out /tmp/answer
chmod 644 /tmp/answer
authority=$(shardkeep site show | sed -n 's/^authority //p')
check "an agent that has not joined ends with 78" bash -c "! systemctl start $box"
check "and is not started again" [ "$(property $box ExecMainStatus) $(property $box Result) $(property $box NRestarts)" = "78 exit-code 0" ]
check "box accept" as shardkeep box accept /tmp/answer --config /etc/shardkeep/box-1.yaml --authority "$authority"

# Its PIN becomes a credential that only this machine opens.
check "systemd-creds seals the PIN" systemd-creds encrypt --with-key=host --name=shardkeep-pin $state/box-1/pin /etc/credstore.encrypted/shardkeep-box-1.pin
rm $state/box-1/pin
check "the agent starts, and is ready" systemctl enable --now $box
check "with the PIN from its credential" until_is $box StatusText '^serves, connected to ' 20
heard() { shardkeep status --json | grep -q '"box-1"'; }
check "the coordinator knows it" heard
check "everything outside its folder is read-only to it" bash -c "! nsenter -t $(main $box) -m touch /etc/shardkeep/x"

# Watchdog: one that hangs is ended and started again; one that lives is not, for three times as long.
mkdir -p /run/systemd/system/$box.service.d
printf '[Service]\nWatchdogSec=4\n' > /run/systemd/system/$box.service.d/test.conf
systemctl daemon-reload
systemctl restart $box
before=$(main $box)
sleep 12
check "a living agent feeds its watchdog" [ "$(main $box) $(property $box NRestarts)" = "$before 0" ]
kill -STOP "$before"
check "a hung one is started again" until_is $box NRestarts '^1$' 30
check "and is ready" until_is $box StatusText '^serves, connected to ' 30
check "it is another process" [ "$(main $box)" != "$before" ]

# Killed, as by the kernel when memory is short.
kill -KILL "$(main $box)"
check "a killed one is started again" until_is $box NRestarts '^2$' 30
check "and is ready again" until_is $box StatusText '^serves, connected to ' 30

# A broker that is away.
systemctl stop $site
check "without its coordinator it waits" until_is $box StatusText '^waits for its broker' 30
check "and is not restarted" [ "$(property $box ActiveState) $(property $box NRestarts)" = "active 2" ]
check "it stops in order also then" systemctl stop $box
check "with exit 0" [ "$(property $box ExecMainStatus) $(property $box Result)" = "0 success" ]
systemctl start $site $box

# Upgrade in place.
before=$(main $box)
echo '# mine' >> box.yaml.example
check "an upgrade" dpkg -i "$deb"
check "keeps what was edited" grep -q '^# mine' box.yaml.example
check "restarts what ran" [ "$(main $box)" != "$before" ]
check "which serves again, with its state" until_is $box StatusText '^serves, connected to ' 30

# Remove and purge.
keys() { find $state -type f \( -path '*/tokens/*' -o -path '*/store/*' -o -name '*.pin' \) | wc -l; }
had=$(keys)
check "it is removed" dpkg -r shardkeep
check "its units have ended" [ "$(systemctl list-units --plain --no-legend 'shardkeep-*@*')" = "" ]
check "nothing starts it any more" bash -c '! ls /etc/systemd/system/*.wants/shardkeep-*'
dpkg -P shardkeep 2> /out/purge
check "a purge says what is left" grep -q 'its keys and shards are not' /out/purge
check "every key is there" [ "$(keys)" = "$had" ]
check "nothing of the program is" [ ! -e /usr/lib/shardkeep ]
journalctl --no-pager -u $box -u $site > /out/journal
echo end >> /out/result
systemctl poweroff
