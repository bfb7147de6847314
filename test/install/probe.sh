#!/bin/bash
# Runs inside the booted Debian, as a tech would type it: every line of /out/result is `ok …` or `FAILED …`.
exec > /out/log 2>&1
set -x
authority=
recovery=
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
  bash -e <(sed -n '/^admin()/p' /out/guide/the-site; echo "authority=$authority recovery=$recovery"; cat "/out/guide/$1")
}
mkdir /out/guide/todo && cp /out/guide/[a-z]*-* /out/guide/install /out/guide/pin /out/guide/start /out/guide/todo/

# The package has no emulated sensors: the checkout has. A pseudo-terminal belongs to who opened it.
mkdir -p /srv/emulated
emulators=/opt/shardkeep/dist/firmware-bridge/emulators/main.js
emulated() {
  chown shardkeep /srv/emulated
  systemd-run -q --unit="emulated-$1" --uid=shardkeep node $emulators sensor --link "/srv/emulated/$1.tty" --control "/srv/emulated/$1.sock" --state "/srv/emulated/$1.json"
}
fingers() { # a person at a sensor each, until they are told to go
  for one in "$@"; do
    while :; do runuser -u shardkeep -- node $emulators touch "/srv/emulated/${one%:*}.sock" "${one#*:}" --for 1000; sleep 1; done &
  done
}
go_away() { kill $(jobs -p); wait; }

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
sed -i 's/coordinator.example/127.0.0.1/; /^panel:/,/path:/d; s|path: /dev/shardkeep-sensor|path: /srv/emulated/box-1.tty\n  allowEmulated: true|' /etc/shardkeep/box-1.yaml
emulated box-1
until [ -e /srv/emulated/box-1.tty ]; do sleep 0.1; done
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
check "guide: a client" guide a-client-of-an-integrator
check "which may ask" shardkeep status --client /etc/payroll/client.yaml
check "everything outside its folder is read-only to it" bash -c "! nsenter -t $(main $box) -m touch /etc/shardkeep/x"
# Debian's Mosquitto under the drop-in.
mkdir /etc/systemd/system/mosquitto.service.d
cp /usr/share/shardkeep/mosquitto/hardening.conf /etc/systemd/system/mosquitto.service.d/shardkeep.conf
systemctl daemon-reload
check "Mosquitto starts hardened" systemctl restart mosquitto
sleep 1
check "and runs as its own user" [ "$(property mosquitto ActiveState) $(stat -c %U "/proc/$(main mosquitto)")" = "active mosquitto" ]

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

# A whole site: two more boxes, one of which loses its power while it joins; people, a key, a file.
for n in 2 3; do
  sed "s/box-1/box-$n/g; s/rack-a/rack-$n/" /etc/shardkeep/box-1.yaml > /etc/shardkeep/box-$n.yaml
  emulated box-$n
  own=$state/box-$n
  for after in 0.6 1.2; do sudo -u shardkeep timeout -s KILL $after shardkeep box request --config /etc/shardkeep/box-$n.yaml --out $own/request; done
  check "box-$n asks, after it was cut off twice" sudo -u shardkeep shardkeep box request --config /etc/shardkeep/box-$n.yaml --out $own/request
  check "box-$n is answered" admin site approve $own/request --out $own/answer
  sudo -u shardkeep timeout -s KILL 1 shardkeep box accept $own/answer --config /etc/shardkeep/box-$n.yaml --authority "$authority"
  check "box-$n joins, after it was cut off" sudo -u shardkeep shardkeep box accept $own/answer --config /etc/shardkeep/box-$n.yaml --authority "$authority"
  check "box-$n starts" systemctl enable --now shardkeep-agent@box-$n
done
ready() { for ((n = 0; n < 60; n++)); do [ "$(admin status | grep -c 'ready (emulated)')" = 3 ] && return; sleep 1; done; admin status; return 1; }
check "three boxes and their sensors are ready" ready
check "guide: recovery cards" guide recovery-cards
recovery=$(cat /dev/shm/cards/card-*.txt | shardkeep site recovery-check --json | sed 's/.*"key":"\([^"]*\)".*/\1/')
rm -r /dev/shm/cards
fingers box-1:alice-index box-2:bob-index
check "guide: the ceremony, to the first key" guide the-ceremony
check "a file there and back" cmp $state/plant/trial $state/plant/trial.opened
echo 'alice 5000' | sudo -u shardkeep tee $state/plant/march.csv
check "a file is sealed" admin seal $state/plant/march.csv --key payroll --resource payroll/march
go_away
check "guide: keep the coordinator" guide keep-the-coordinator
admin key reshard payroll &
sleep 0.3
systemctl kill -s KILL shardkeep-agent@box-3
wait
check "a box whose power went in a re-shard comes back" ready
fingers box-1:alice-index box-2:bob-index
check "and the file opens" admin open $state/plant/march.csv.sealed --out $state/plant/opened.csv --reason test
go_away
check "as it was" cmp $state/plant/march.csv $state/plant/opened.csv

# A box whose PIN is lost ends, and its machine joins as another in its place.
rm $state/box-3/pin
check "guide: a lost PIN" guide a-lost-pin
# It is the same machine, with the same sensor.
sed -i 's|emulated/box-4|emulated/box-3|' /etc/shardkeep/box-4.yaml
joins() {
  until [ -e $state/plant/box-4.answer ]; do sleep 0.2; done
  sleep 0.5
  sudo -u shardkeep shardkeep box accept $state/plant/box-4.answer --config /etc/shardkeep/box-4.yaml --authority "$authority"
  systemctl enable --now shardkeep-agent@box-4
  # Two holders are left of three: the new shards count when the key was used.
  until admin status --json | grep -q '"reshard":"unproven"'; do sleep 0.5; done
  admin open $state/plant/march.csv.sealed --out $state/plant/proof.csv --reason 'proves the new shards'
}
fingers box-1:alice-index box-2:bob-index
joins &
check "guide: another box in its place" guide another-box-in-its-place
go_away
check "it holds the key, and its new sensor is ready" ready
fingers box-1:alice-index box-2:bob-index box-3:alice-index
check "a finger of alice's there too, which people approve" admin person add alice --finger index --box box-4
go_away

# The coordinator is gone; then the whole site but for two boxes.
check "guide: keep the coordinator, as it is now" bash -c "rm /media/usb/plant.backup && bash -e /out/guide/keep-the-coordinator"
lose() { # NAME UNIT…
  systemctl disable --now "$2"
  mkdir -p /lost && mv $state/"$1" /etc/shardkeep/"$1".yaml /lost
}
lose plant $site
check "guide: the coordinator is gone" guide the-coordinator-is-gone
check "all boxes are there again" ready
check "guide: keep a box" guide keep-a-box
systemctl stop shardkeep-agent@box-2
sudo -u shardkeep shardkeep backup --config /etc/shardkeep/box-2.yaml --out $state/box-2.backup
mv $state/box-2.backup /media/usb/
rm -r /lost
for n in 1 2 4; do lose box-$n shardkeep-agent@box-$n; done
lose plant $site
rm -f /etc/credstore.encrypted/shardkeep-*.pin
check "the coordinator once more" bash -e /out/guide/the-coordinator-is-gone
check "guide: a lost site" guide a-lost-site
heard_of() { for ((n = 0; n < 60; n++)); do [ "$(admin status | grep -c 'ready (emulated)')" = "$1" ] && return; sleep 1; done; admin status; return 1; }
check "two boxes of three are back" heard_of 2
fingers box-1:alice-index box-2:bob-index
check "and the file opens" admin open $state/plant/march.csv.sealed --out $state/plant/saved.csv --reason test
go_away
check "as it was before the fire" cmp $state/plant/march.csv $state/plant/saved.csv
check "the guide was followed to its end" [ "$(ls /out/guide/todo)" = "" ]
for n in 4; do mv /lost/box-$n $state/; mv /lost/box-$n.yaml /etc/shardkeep/; systemctl enable --now shardkeep-agent@box-$n; done
check "a box that was only lost is one again" ready

# Upgrade in place.
before=$(main $box)
echo '# mine' >> /etc/shardkeep/box.yaml.example
check "an upgrade" dpkg -i "$deb"
check "keeps what was edited" grep -q '^# mine' /etc/shardkeep/box.yaml.example
check "restarts what ran" [ "$(main $box)" != "$before" ]
check "three boxes are ready again" ready
fingers box-1:alice-index box-2:bob-index
check "and open the file with what they had" admin open $state/plant/march.csv.sealed --out $state/plant/again.csv --reason test
go_away

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
journalctl --no-pager > /out/journal
echo end >> /out/result
systemctl poweroff
