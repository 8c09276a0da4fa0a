# shellcheck shell=bash
# The first process of the container: makes its root, a layer above the machine's files, and becomes systemd there:
# boot.sh DIRECTORY systemd|hand. In namespaces of its own only: see container.sh.
set -euo pipefail
dir=${1:?} init=${2:?}
root=$dir/root
mount -t tmpfs none "$dir/layers"
mkdir "$dir/layers/upper" "$dir/layers/work"
mount -t overlay overlay -o "lowerdir=/,upperdir=$dir/layers/upper,workdir=$dir/layers/work" "$root"

# What is removed below is removed from the layer.
mountpoint -q "$root"
# Of this machine's own services none runs there, and nothing of its users is seen.
rm -rf "${root:?}"/etc/systemd/system/* "${root:?}"/etc/systemd/user/* "${root:?}"/root/* "${root:?}"/home/* "$root"/var/log/journal
: >"$root/etc/fstab"
: >"$root/etc/machine-id"
echo anyproxy-test >"$root/etc/hostname"
printf '127.0.0.1 localhost intranet.local\n::1 localhost\n' >"$root/etc/hosts"
mkdir -p "$root/mnt"
cp -r "$dir/test" "$root/test"

mount -t proc proc "$root/proc"
mount -t sysfs -o ro sysfs "$root/sys"
[ "$init" != systemd ] || mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
mount -t tmpfs -o mode=755 none "$root/run"
mount -t tmpfs none "$root/tmp"
mount -t tmpfs -o mode=755 none "$root/dev"
mkdir "$root/dev/pts" "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=666,mode=620 devpts "$root/dev/pts"
mount -t tmpfs none "$root/dev/shm"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
for each in null zero full random urandom tty; do
    : >"$root/dev/$each"
    mount --bind "/dev/$each" "$root/dev/$each"
done
ip link set lo up
hostname anyproxy-test

cd "$root"
pivot_root . mnt
umount -l /mnt
# As systemd wants it: what it mounts for a service's credentials is to reach the service.
mount --make-rshared /
case $init in
systemd) exec env -i container=test /lib/systemd/systemd --system --unit=basic.target --show-status=no --log-target=console ;;
hand)
    : >/run/booted
    exec sleep infinity
    ;;
esac
