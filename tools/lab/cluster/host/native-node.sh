#!/bin/sh
# native-node TREE FOLDER CGROUP: becomes node2, which shares this machine's kernel, in mounts, a host name and cgroups of its own:
# its root is TREE with what it writes in FOLDER (where containerd has its images already), the root of its cgroups is CGROUP. Runs in the cluster's network and processes.
set -e
if [ "$1" != inside ]; then
  # The way from a process's cgroup to its controllers is in its mount table: one hierarchy in cgroup v2, several in v1.
  while IFS=: read -r _ controllers _; do
    case $controllers in
    '')
      [ -e /sys/fs/cgroup/cgroup.controllers ] || continue
      top=/sys/fs/cgroup
      ;;
    *) top=/sys/fs/cgroup/${controllers#name=} ;;
    esac
    mkdir -p "$top/$3"
    for file in cpuset.cpus cpuset.mems; do
      # in v1 a new group has none, and takes no process
      [ "$controllers" != cpuset ] || cat "$top/$file" >"$top/$3/$file"
    done
    echo $$ >"$top/$3/cgroup.procs"
  done </proc/self/cgroup
  exec unshare --mount --uts --cgroup --propagation private sh "$0" inside "$@"
fi
shift
tree=$1 folder=$2
root=$folder/root
mkdir -p "$root" "$folder/work" "$folder/upper"
mount -t overlay overlay -o "lowerdir=$tree,upperdir=$folder/upper,workdir=$folder/work" "$root"
cd "$root"
mount -t proc proc proc
mount -t sysfs sysfs sys
mount --rbind /dev dev
mount -t tmpfs run run
mount -t tmpfs tmp tmp
# What kubelet's volumes and containerd's layers lie on must not be an overlay itself.
for path in var/lib/containerd var/lib/kubelet var/lib/volumes; do
  mkdir -p "$folder/$path"
  mount --bind "$folder/$path" "$path"
done

if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
  mount -t cgroup2 cgroup2 sys/fs/cgroup
  mkdir -p sys/fs/cgroup/system
  echo $$ >sys/fs/cgroup/system/cgroup.procs
  for controller in $(cat sys/fs/cgroup/cgroup.controllers); do
    echo "+$controller" >sys/fs/cgroup/cgroup.subtree_control
  done
else
  mount -t tmpfs -o mode=755 cgroup sys/fs/cgroup
  while IFS=: read -r _ controllers _; do
    case $controllers in
    '' | name=*) continue ;;
    esac
    mkdir "sys/fs/cgroup/$controllers"
    mount -t cgroup -o "$controllers" cgroup "sys/fs/cgroup/$controllers"
    for controller in $(echo "$controllers" | tr , ' '); do
      [ -e "sys/fs/cgroup/$controller" ] || ln -s "$controllers" "sys/fs/cgroup/$controller"
    done
  done </proc/self/cgroup
fi

# kubelet sets these for the whole machine: here it sets a file that nobody reads.
mkdir -p "$folder/sysctl"
for name in vm/overcommit_memory vm/panic_on_oom kernel/panic kernel/panic_on_oops kernel/keys/root_maxkeys kernel/keys/root_maxbytes; do
  [ -e "/proc/sys/$name" ] || continue
  file=$folder/sysctl/$(echo "$name" | tr / .)
  cat "/proc/sys/$name" >"$file"
  mount --bind "$file" "proc/sys/$name"
done

pivot_root . old-root
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
umount -l /old-root
mount --make-rshared /
. /etc/lab/node.env
hostname "$NODE_NAME"
start-node
echo "lab: ready"
exec sleep infinity
