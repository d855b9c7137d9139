#!/bin/sh
# Starts containerd, kubelet and kube-proxy. Their logs are in /var/log.
. /etc/lab/node.env
say() { echo "lab: $(cut -d' ' -f1 /proc/uptime) s: $*"; }

# A kernel may have only the older of the two packet filters.
if ! iptables -t nat -S >/dev/null 2>&1; then
  for program in iptables iptables-save iptables-restore ip6tables ip6tables-save ip6tables-restore; do
    ln -sf xtables-legacy-multi "/usr/sbin/$program"
  done
fi

containerd >/var/log/containerd.log 2>&1 </dev/null &
tries=0
until [ -S /run/containerd/containerd.sock ] && ctr version >/dev/null 2>&1; do
  tries=$((tries + 1))
  if [ $tries -ge 300 ]; then
    say "containerd does not answer: $(tail -n 3 /var/log/containerd.log)"
    exit 1
  fi
  sleep 0.2
done
say "containerd"
kubelet --config=/etc/kubernetes/kubelet.json --kubeconfig=/etc/kubernetes/kubelet.kubeconfig \
  --hostname-override="$NODE_NAME" --node-ip="$NODE_ADDRESS" --node-labels="$NODE_LABELS" --root-dir=/var/lib/kubelet \
  >/var/log/kubelet.log 2>&1 </dev/null &
kube-proxy --config=/etc/kubernetes/kube-proxy.json >/var/log/kube-proxy.log 2>&1 </dev/null &
