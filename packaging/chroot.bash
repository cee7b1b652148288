# shellcheck shell=bash
# SPDX-License-Identifier: MIT
#
# For the scripts that try something in a minimal Debian: a folder with the release that this machine runs, from the
# sources that its apt has.
#
#     new_debian FOLDER         makes one. It is kept as an archive in packages/ of the current folder, which further
#                               calls unpack; make clean removes it
#     inside FOLDER COMMAND...  runs COMMAND in it as root, with a /proc and a /dev, which are gone afterwards
#     files_of FOLDER           prints what is in it, without the folder /packages and the notes of apt, dpkg and rpm
#
# Needs (Debian) debootstrap, and root with the right to mount.

need_debian() {
    [ "$(id -u)" -eq 0 ] || { echo "$0: must be run as root: it enters a folder with a Debian" >&2; exit 2; }
    command -v debootstrap >/dev/null || { echo "$0: needs debootstrap (Debian: debootstrap)" >&2; exit 2; }
    unshare --mount true || { echo "$0: needs the right to mount" >&2; exit 2; }
}

# One line for each of apt's sources of Debian's packages: site, release, component.
sources() {
    # shellcheck disable=SC2016
    apt-get indextargets --format '$(SITE) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' 'Origin: Debian' | sort -u
}

bootstrap_debian() {
    local folder=$1 codename site
    codename=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)
    [ -n "$(sources)" ] || apt-get -q update || return
    site=$(sources | awk -v release="$codename" '$2 == release && $3 == "main" { print $1; exit }')
    [ -n "$site" ] || { echo "$0: apt has no source of Debian '$codename'" >&2; return 1; }
    debootstrap --variant=minbase "$codename" "$folder" "$site" || return
    sources | sed 's/^/deb /' >"$folder/etc/apt/sources.list"
    apt-config dump | grep -E '^Acquire::(Check-|http|Languages|Retries)' >"$folder/etc/apt/apt.conf.d/00machine"
    # What a crash would leave half-written is thrown away anyhow.
    echo force-unsafe-io >"$folder/etc/dpkg/dpkg.cfg.d/unsafe"
    cp /etc/resolv.conf "$folder/etc/resolv.conf"
    inside "$folder" apt-get -q update
}

new_debian() {
    local kept=packages/debian.tar
    mkdir -p packages "$1" || return
    (
        flock 9
        # The lists of an older one may name what the archive no longer has.
        [ -n "$(find "$kept" -mmin -720 2>/dev/null)" ] || {
            bootstrap_debian "$1.new" && tar -C "$1.new" -cf "$kept.part" . && rm -rf "$1.new" &&
                mv "$kept.part" "$kept"
        }
    ) 9>packages/lock && tar -C "$1" -xpf "$kept"
}

inside() {
    local folder=$1
    shift
    # What is quoted is for the other shell.
    # shellcheck disable=SC2016
    unshare --mount --pid --fork --kill-child -- sh -euc '
        mount --rbind /dev "$0/dev"
        mount -t proc proc "$0/proc"
        exec chroot "$0" "$@"' "$folder" \
        env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive \
        ${http_proxy:+"http_proxy=$http_proxy"} ${https_proxy:+"https_proxy=$https_proxy"} "$@"
}

files_of() {
    (cd "$1" && find . -xdev \( -path ./packages -o -path ./var/cache -o -path ./var/lib/apt -o -path ./var/lib/dpkg \
        -o -path ./var/lib/rpm -o -path ./var/log \) -prune -o -printf '%p %y %l\n' | sort)
}
