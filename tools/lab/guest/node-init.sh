#!/bin/sh
# Sets the node up (file systems, cgroup v2, network), starts its pods, and becomes the server that `run` talks to.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
say() { echo "lab: $(cut -d' ' -f1 /proc/uptime) s: $*" >/dev/ttyS0; }

. /usr/local/lib/lab/mounts.sh

# The third disk is a plain tar: what is particular to this node (name, token, pods).
mkdir -p /run/lab
tar -x -f /dev/vdc -C /run/lab
. /run/lab/node.env
mkdir -p /opt/agent-runtime
mount -t ext4 -o ro /dev/vdb /opt/agent-runtime

hostname "$NODE_NAME"
echo "$NODE_NAME" >/etc/hostname
echo "$MACHINE_ID" >/etc/machine-id
printf '127.0.0.1 localhost\n127.0.1.1 %s\n' "$NODE_NAME" >/etc/hosts
ip link set lo up
ip link add cni0 type bridge
ip link set eth0 master cni0 up
ip link set cni0 up
ip addr add 10.0.2.15/24 dev cni0
ip route add default via 10.0.2.2
ip link set eth1 up
ip addr add 10.0.3.15/24 dev eth1
say "network"

setsid /usr/local/lib/lab/oddities </dev/null >/dev/null 2>&1 &
if [ "$PODS" = 1 ]; then
  for pod in /run/lab/pods/*; do
    [ -e "$pod/by-hand" ] || start-pod "$pod" &
    started="$started $!"
  done
  for job in $started; do wait "$job" || say "a pod did not start: see above"; done
  say "pods"
fi
exec /sbin/exec-server 10.0.3.15 10000 /run/lab/token >/dev/ttyS0 2>&1 </dev/null
