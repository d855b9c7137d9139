#!/bin/sh
# The first program of node1, the virtual machine: file systems, network, Kubernetes' part, then the server that `run` talks to.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
. /usr/local/lib/lab/mounts.sh

# The second disk holds the container images that the node begins with.
mount -t ext4 /dev/vdb /var/lib/containerd
# The third disk is a plain tar: the node's own files, see node-files.ts.
tar -x -f /dev/vdc -C /
. /etc/lab/node.env

hostname "$NODE_NAME"
ip link set lo up
ip link set eth0 up
ip addr add "$NODE_ADDRESS/24" dev eth0
ip route add default via 10.0.2.2
ip link set eth1 up
ip addr add 10.0.3.15/24 dev eth1
echo 1 >/proc/sys/net/ipv4/ip_forward
echo 1 >/proc/sys/net/bridge/bridge-nf-call-iptables

echo "lab: $(cut -d' ' -f1 /proc/uptime) s: network" >/dev/ttyS0
start-node >/dev/ttyS0 2>&1 || echo "lab: start-node failed, see above" >/dev/ttyS0
exec /sbin/exec-server 10.0.3.15 10000 /etc/lab/token >/dev/ttyS0 2>&1 </dev/null
