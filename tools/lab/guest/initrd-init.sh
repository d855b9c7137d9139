#!/bin/busybox sh
# The first program of the kernel: loads the modules in their order and hands over to the node's root disk.
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
case " $(cat /proc/cmdline) " in
*" lab.selftest "*)
  echo "lab: alive" >/dev/ttyS0
  poweroff -f
  ;;
esac
while read -r module; do
  insmod "$module" || echo "lab: cannot load $module" >/dev/ttyS0
done </modules.load
until [ -b /dev/vda ] && [ -b /dev/vdb ] && [ -b /dev/vdc ]; do sleep 0.05; done
if ! mount -t ext4 /dev/vda /root; then
  echo "lab: cannot mount the root disk" >/dev/ttyS0
  poweroff -f
fi
mount --move /proc /root/proc
mount --move /sys /root/sys
mount --move /dev /root/dev
exec switch_root /root /sbin/node-init
