#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Runs make targets in a fresh Debian 12 that has nothing but git, make and ca-certificates.
#
#   tools/prove-fresh-root.sh [--root DIR] [--keep] TARGET...
#
# Needs root, debootstrap and unshare. The commit that is checked out is cloned into the new root;
# this machine's package sources, pip settings and CA bundle are copied over. The targets run in
# namespaces of their own: what they mount or start ends with them. Afterwards it is checked that
# no daemon was left enabled and no database cluster was made. DIR (default: a new folder in
# ${TMPDIR:-/var/tmp}) is removed at the end unless --keep; with --keep, it is used again.
set -eu

root=
keep=
while :; do
    case "${1:-}" in
    --root) root=$2; shift 2 ;;
    --keep) keep=yes; shift ;;
    -*) sed -n '4p' "$0" >&2; exit 2 ;;
    *) break ;;
    esac
done
[ $# -gt 0 ] || { sed -n '4p' "$0" >&2; exit 2; }
[ "$(id -u)" = 0 ] || { echo "prove-fresh-root: needs root" >&2; exit 2; }
for tool in debootstrap unshare git; do
    command -v $tool >/dev/null || { echo "prove-fresh-root: $tool is missing: tools/bootstrap dev" >&2; exit 2; }
done
source=$(cd "$(dirname "$0")/.." && pwd)
[ -n "$root" ] || root=$(mktemp -d "${TMPDIR:-/var/tmp}/plimsoll-root-XXXXXX")
home=$root/root/plimsoll

remove() {
    if [ -z "$keep" ]; then rm -rf --one-file-system "$root"; fi
}
trap remove EXIT
trap 'exit 130' INT TERM HUP

make_root() {
    mirror=$(apt-get indextargets --format '$(SITE) $(CODENAME)' 'Created-By: Packages' |
        sed -n 's/ bookworm$//p' | head -n 1)
    [ -n "$mirror" ] || { echo "prove-fresh-root: this machine's apt knows no bookworm" >&2; exit 2; }
    debootstrap --variant=minbase --include=git,make,ca-certificates bookworm "$root" "$mirror"
    cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/ca-certificates.crt"
    cp /etc/resolv.conf "$root/etc/resolv.conf"
    rm -f "$root/etc/apt/sources.list"
    for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.sources /etc/apt/sources.list.d/*.list \
        $(grep -l '^ *Acquire' /etc/apt/apt.conf.d/* 2>/dev/null) /etc/pip.conf; do
        if [ -f "$file" ]; then cp "$file" "$root$file"; fi
    done
    # Packages that are here already need not come over the network again.
    cp /var/cache/apt/archives/*.deb "$root/var/cache/apt/archives/" 2>/dev/null || :
}

inside() {
    unshare --mount --pid --fork --kill-child sh -euc '
        root=$1; shift
        mount --make-rprivate /
        mount -t proc proc "$root/proc"
        mount -t sysfs sysfs "$root/sys"
        mount --rbind /sys/fs/cgroup "$root/sys/fs/cgroup"
        mount --rbind /dev "$root/dev"
        exec chroot "$root" /usr/bin/env -i HOME=/root TERM="${TERM:-dumb}" LANG=C.UTF-8 \
            PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "$@"' sh "$root" "$@"
}

[ -x "$root/bin/sh" ] || make_root
rm -rf "$home"
git clone -q --no-local "$source" "$home"
chown -R 0:0 "$home"

if inside sh -c 'cd /root/plimsoll && ! dpkg-query -s meson >/dev/null 2>&1'; then
    echo "== without root and without packages: exit 2 and one command"
    status=0
    inside sh -c 'cp -r /root/plimsoll/tools /tmp/tools && cd / &&
        exec setpriv --reuid=nobody --regid=nogroup --clear-groups /tmp/tools/bootstrap demo' || status=$?
    [ $status = 2 ] || { echo "prove-fresh-root: exit status $status, not 2" >&2; exit 1; }
fi

for target; do
    echo "== make $target"
    inside sh -c "cd /root/plimsoll && make $target" </dev/null
done

echo "== what the installation left"
left=$(inside sh -c '
    find /etc/systemd/system -path "*.wants/*" | grep -E "nats|postgres|nginx"
    find /etc/rc[2-5].d -name "S*" | grep -E "nats|postgres|nginx"
    ls -d /var/lib/postgresql/*/* /usr/sbin/policy-rc.d /etc/postgresql-common/createcluster.d/plimsoll* 2>/dev/null' || :)
if [ -n "$left" ]; then
    echo "prove-fresh-root: left behind: $left" >&2
    exit 1
fi
echo "fresh root: ok"
