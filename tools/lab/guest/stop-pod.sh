#!/bin/sh
# stop-pod DIRECTORY SIGNAL: ends the pod's containers, its sandbox and its network namespace. The logs stay.
pod=$1
. "$pod/pod.env"
for directory in "$pod"/containers/*; do
  [ "${directory##*/}" = POD ] && continue
  . "$directory/container.env"
  runc kill "$CONTAINER_ID" "$2" 2>/dev/null
  tries=0
  while [ "$(runc state "$CONTAINER_ID" 2>/dev/null | grep -c '"status": "running"')" = 1 ] && [ $tries -lt 150 ]; do
    tries=$((tries + 1))
    sleep 0.2
  done
done
for directory in "$pod"/containers/*; do
  . "$directory/container.env"
  runc delete --force "$CONTAINER_ID" 2>/dev/null
  umount "$directory/rootfs" 2>/dev/null
  rm -f "/var/log/containers/${POD_NAME}_${POD_NAMESPACE}_${directory##*/}-${CONTAINER_ID}.log"
done
ip netns delete "cni-$POD_UID" 2>/dev/null
exit 0
