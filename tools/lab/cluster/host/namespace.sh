#!/bin/sh
# namespace TREE stay|follow: process 1 of the cluster's own network, mounts and processes. It makes the network, in which this
# machine is 10.0.2.2 and node2 is 10.0.2.16, and ends when its standard input does (or never: stay). Then the kernel ends all
# that runs in the cluster.
set -e
ip() { chroot "$tree" /bin/ip "$@"; }
tree=$1
ip link set lo up
ip link add br0 type bridge stp_state 0 forward_delay 0
ip addr add 10.0.2.2/24 dev br0
ip addr add 10.0.2.16/24 dev br0
ip link set br0 up
# where the cluster's name server answers
ip addr add 10.96.0.10/32 dev lo
ip route add 10.244.1.0/24 via 10.0.2.15
# both are this network's own, not the machine's
echo 1 >/proc/sys/net/ipv4/ip_forward
[ ! -e /proc/sys/net/bridge/bridge-nf-call-iptables ] || echo 1 >/proc/sys/net/bridge/bridge-nf-call-iptables
echo "lab: ready"
# not by exec: the shell also buries what is left to process 1
case $2 in
stay) sleep infinity ;;
*) cat >/dev/null ;;
esac
