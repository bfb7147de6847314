#!/bin/bash
# Runs inside the booted Debian, as a tech would type it: every line of /out/result is `ok …` or `FAILED …`.
exec > /out/log 2>&1
set -x
authority=
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
box=shardkeep-agent@box-1
site=shardkeep-coordinator@plant
state=/var/lib/shardkeep
own() { stat -c '%U %a' "$1"; }
main() { property "$1" MainPID; }

# What a tech has: sudo, a stick, the package in the folder.
cat > /usr/local/bin/sudo <<'END'
#!/bin/sh
user=root
if [ "$1" = -u ]; then user=$2; shift 2; fi
exec runuser -u "$user" -- env "$@"
END
chmod +x /usr/local/bin/sudo
mkdir -p /media/usb
cd /out || exit
# A section of docs/field-guide.md, with what an earlier one has defined, and what was typed.
guide() {
  rm "/out/guide/todo/$1"
  bash -e <(sed -n '/^admin()/p' /out/guide/the-site; echo "authority=$authority"; cat "/out/guide/$1")
}
mkdir /out/guide/todo && cp /out/guide/[a-z]*-* /out/guide/install /out/guide/pin /out/guide/start /out/guide/todo/

# Install.
check "guide: install" guide install
check "its user, its folders" [ "$(own $state) / $(own /etc/shardkeep)" = "shardkeep 700 / root 750" ]
check "nobody logs in as it" grep -q '^shardkeep:.*:/usr/sbin/nologin$' /etc/passwd
check "systemd knows its units" systemctl cat shardkeep-agent@.service
check "guide: name the devices" guide name-the-devices

# The site.
check "guide: the coordinator" guide the-coordinator
check "guide: the site, its coordinator ready" guide the-site
check "it says what it does" until_is $site StatusText '^serves, connected to mqtts://' 20
admin() { sudo -u shardkeep SHARDKEEP_CLIENT=$state/plant/clients/admin/client.yaml shardkeep "$@"; }
authority=$(admin site show | sed -n 's/^authority //p')

# A box.
check "guide: a box" guide a-box
sed -i 's/coordinator.example/127.0.0.1/; /^panel:/,/path:/d' /etc/shardkeep/box-1.yaml
check "guide: the box asks" guide the-box-asks
check "guide: the coordinator answers" guide the-coordinator-answers
check "an agent that has not joined ends with 78" bash -c "! systemctl start $box"
check "and is not started again" [ "$(property $box ExecMainStatus) $(property $box Result) $(property $box NRestarts)" = "78 exit-code 0" ]
check "guide: the box joins" guide the-box-joins

# Its PIN becomes a credential that only this machine opens.
check "guide: PIN" guide pin
check "guide: start" guide start
check "with the PIN from its credential" until_is $box StatusText '^serves, connected to ' 20
heard() { admin status --json | grep -q '"box-1"'; }
check "the coordinator knows it" heard
check "everything outside its folder is read-only to it" bash -c "! nsenter -t $(main $box) -m touch /etc/shardkeep/x"
check "the guide was followed to its end" [ "$(ls /out/guide/todo)" = "" ]

# A PIN that is typed.
mkdir -p /run/systemd/system/$box.service.d
printf '[Service]\nLoadCredentialEncrypted=\nLoadCredential=shardkeep-pin:/run/shardkeep-pin\n' > /run/systemd/system/$box.service.d/typed.conf
systemctl daemon-reload
systemctl stop $box
check "without it the agent does not start" bash -c "! systemctl start $box"
systemctl stop $box
(umask 077; systemd-creds decrypt --name=shardkeep-pin /etc/credstore.encrypted/shardkeep-box-1.pin - > /run/shardkeep-pin)
check "with it it does" systemctl start $box
rm /run/systemd/system/$box.service.d/typed.conf

# Watchdog: one that hangs is ended and started again; one that lives is not, for three times as long.
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
echo '# mine' >> /etc/shardkeep/box.yaml.example
check "an upgrade" dpkg -i "$deb"
check "keeps what was edited" grep -q '^# mine' /etc/shardkeep/box.yaml.example
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
