#!/bin/sh
# hold FOLDER CGROUP NAMESPACE-SCRIPT TREE stay|follow: holds the cluster's namespaces, and when they have ended, however they
# did, removes what they cannot take along: cgroups and files. Says the process id that ends the cluster when it is killed.
folder=$1 cgroup=$2
shift 2
trap '' HUP INT TERM
exec 3<&0
setpriv --pdeathsig KILL unshare --net --mount --pid --fork --kill-child --mount-proc sh "$@" <&3 3<&- &
holder=$!
echo "$holder"
exec 3<&- </dev/null >/dev/null
wait "$holder"
for top in /sys/fs/cgroup /sys/fs/cgroup/*; do
  tries=0
  while [ -d "$top/$cgroup" ] && [ $tries -lt 50 ]; do
    find "$top/$cgroup" -depth -type d -exec rmdir {} + 2>/dev/null || sleep 0.1
    tries=$((tries + 1))
  done
done
rm -rf "$folder"
