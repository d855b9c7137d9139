#!/bin/sh
# start-pod DIRECTORY: makes the pod's network namespace, then its sandbox and its containers, as kubelet and containerd do.
set -e
pod=$1
. "$pod/pod.env"
fail() {
  echo "lab: pod $POD_NAMESPACE/$POD_NAME: $*" >/dev/ttyS0
  exit 1
}
log_directory=/var/log/pods/${POD_NAMESPACE}_${POD_NAME}_${POD_UID}
mkdir -p /var/log/containers "$log_directory"

ip netns add "cni-$POD_UID" || fail "no network namespace"
ip link add "veth$POD_INDEX" type veth peer name eth0 netns "cni-$POD_UID" || fail "no veth pair"
ip link set "veth$POD_INDEX" master cni0 up
ip -n "cni-$POD_UID" link set lo up
ip -n "cni-$POD_UID" link set eth0 up
ip -n "cni-$POD_UID" addr add "$POD_IP/24" dev eth0
ip -n "cni-$POD_UID" route add default via 10.0.2.2

start() {
  container=$pod/containers/$1
  . "$container/container.env"
  mkdir -p "$container/upper" "$container/work" "$container/rootfs"
  mount -t overlay overlay -o "lowerdir=$IMAGE,upperdir=$container/upper,workdir=$container/work" "$container/rootfs"
  sed -i "s,@SANDBOX@,/proc/$sandbox_pid,g" "$container/config.json"
  runc --log "$container/runc.log" run --detach --bundle "$container" --pid-file "$container/pid" "$CONTAINER_ID" \
    >"$2" 2>&1 </dev/null || fail "container $1: $(cat "$container/runc.log")"
}

start POD /dev/null
sandbox_pid=$(cat "$pod/containers/POD/pid")
for directory in "$pod"/containers/*; do
  name=${directory##*/}
  [ "$name" = POD ] && continue
  mkdir -p "$log_directory/$name"
  start "$name" "$log_directory/$name/0.log"
  ln -sf "$log_directory/$name/0.log" "/var/log/containers/${POD_NAME}_${POD_NAMESPACE}_${name}-${CONTAINER_ID}.log"
done

# Started is not yet ready: wait for the ports the pod is known by (state 0A is LISTEN).
for port in $POD_PORTS; do
  tries=0
  until cat "/proc/$sandbox_pid/net/tcp" "/proc/$sandbox_pid/net/tcp6" 2>/dev/null | grep -q ":$(printf %04X "$port") [0-9A-F:]* 0A "; do
    tries=$((tries + 1))
    [ $tries -lt 300 ] || fail "nobody listens on port $port after 30 s"
    sleep 0.1
  done
done
