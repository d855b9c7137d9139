#!/bin/sh
# import-images TREE STORE ARCHIVE…: fills the new folder STORE with the images of the archives as the containerd of TREE keeps them.
# Runs in mounts and processes of its own, with which containerd ends.
set -e
tree=$1 store=$2
shift 2
mkdir "$store"
mount --bind "$store" "$tree/var/lib/containerd"
for path in run tmp; do mount -t tmpfs "$path" "$tree/$path"; done
mount -t proc proc "$tree/proc"
mount --rbind /dev "$tree/dev"
ctr() { chroot "$tree" /usr/bin/ctr "$@"; }
printf 'version = 2\ndisabled_plugins = ["io.containerd.grpc.v1.cri"]\n' >"$tree/run/containerd.toml"
chroot "$tree" /usr/bin/containerd --config /run/containerd.toml >"$tree/run/log" 2>&1 </dev/null &
tries=0
until ctr version >/dev/null 2>&1; do
  tries=$((tries + 1))
  if [ $tries -ge 300 ]; then
    tail -n 3 "$tree/run/log" >&2
    exit 1
  fi
  sleep 0.1
done
for archive in "$@"; do ctr --namespace k8s.io images import - <"$archive" >/dev/null; done
kill "$!"
wait "$!" || true
