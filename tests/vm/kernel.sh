# Sourced: Debian's kernel and modules for a virtual machine, kept in ${XDG_CACHE_HOME:-~/.cache}/doorline-vm.
# Wants fail() and $modules (words); sets cache, work, kernel, release, accel; removes $work in the end.
# Packages that are missing are installed with apt-get, which needs root.

cache=${XDG_CACHE_HOME:-$HOME/.cache}/doorline-vm
mkdir -p "$cache"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
PATH=$PATH:/usr/sbin:/sbin

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }
fresh=
packages() { # brings the package lists up to date, once
  [ -n "$fresh" ] || as_root apt-get -qq -o DPkg::Lock::Timeout=300 update >&2
  fresh=1
}
missing=()
for pair in qemu-system-x86_64:qemu-system-x86 busybox:busybox-static modprobe:kmod cpio:cpio; do
  command -v "${pair%%:*}" >/dev/null || missing+=("${pair#*:}")
done
if [ ${#missing[@]} -gt 0 ]; then
  packages
  as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -y -o DPkg::Lock::Timeout=300 install \
    --no-install-recommends "${missing[@]}" >&2
fi
unpack() { # DIR PACKAGE...: the packages' files below DIR; nothing is installed
  local dir=$1; shift
  packages
  mkdir -p "$work/deb" "$dir"
  (cd "$work/deb" && apt-get -qq -o APT::Sandbox::User=root download "$@" >&2)
  for deb in "$work"/deb/*.deb; do dpkg-deb -x "$deb" "$dir"; done
  rm -r "$work/deb"
}

exec 9>"$cache/lock"
flock 9
kernel=$cache/kernel
if [ ! -e "$kernel/release" ]; then
  rm -rf "$kernel"
  packages
  image=$(apt-cache depends linux-image-amd64 | sed -n 's/.*Depends: \(linux-image-[0-9].*\)/\1/p' | head -n1)
  [ -n "$image" ] || fail "Debian's linux-image-amd64 is not on offer"
  unpack "$kernel" "$image"
  [ -d "$kernel/lib" ] || ln -s usr/lib "$kernel/lib"
  depmod -b "$kernel" "${image#linux-image-}"
  echo "${image#linux-image-}" >"$kernel/release"
fi
release=$(cat "$kernel/release")
series=$(grep -oE '^[0-9]+\.[0-9]+' <<<"$release")

build_gpio_sim() {
  local tree=$work/tree module=$work/module source=linux-source-$series kbuild=linux-kbuild-$series
  echo "vm-run: compiling gpio-sim for Linux $release (once)" >&2
  command -v make >/dev/null && command -v gcc >/dev/null || {
    packages
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -y install --no-install-recommends make gcc libc6-dev >&2
  }
  apt-cache show "$kbuild" >/dev/null 2>&1 || kbuild=linux-kbuild-${release%-amd64}
  unpack "$tree" "linux-headers-$release" "linux-headers-${release%-amd64}-common" "$kbuild" "$source"
  mkdir "$module"
  tar -xJf "$tree/usr/src/$source.tar.xz" -C "$module" --strip-components=3 --occurrence=1 \
    "$source"/{drivers/gpio/gpio-sim.c,drivers/gpio/gpiolib.h,kernel/irq/irq_sim.c}
  # irq_to_desc is not exported to modules; what it is used for has an exported function.
  sed -i 's/handle_simple_irq(irq_to_desc(irqnum))/generic_handle_irq(irqnum)/' "$module/irq_sim.c"
  mv "$module/gpio-sim.c" "$module/sim.c"
  printf 'obj-m := gpio-sim.o\ngpio-sim-y := sim.o irq_sim.o\n' >"$module/Kbuild"
  # The headers name each other by the place where they would be installed.
  sed -i "s|/usr/src/|$tree/usr/src/|" "$tree/usr/src/linux-headers-$release/Makefile"
  make -s -C "$tree/usr/src/linux-headers-$release" M="$module" CC="$(command -v gcc)" modules >"$work/make.log" 2>&1 ||
    { cat "$work/make.log" >&2; fail "gpio-sim does not compile"; }
  install -D -m 644 "$module/gpio-sim.ko" "$kernel/lib/modules/$release/extra/gpio-sim.ko"
  depmod -b "$kernel" "$release"
  rm -r "$tree" "$module"
}
case " $modules " in *' gpio-sim '*)
  modinfo -b "$kernel" -k "$release" gpio-sim >/dev/null 2>&1 || build_gpio_sim ;;
esac
flock -u 9


# copy_modules DIR: $modules and what they need, numbered in their order, uncompressed
copy_modules() {
  local dir=$1 n=100 ko
  for module in $modules; do
    modprobe -d "$kernel" -S "$release" --show-depends "$module" || fail "no module $module"
  done | sed -n 's/^insmod \([^ ]*\).*/\1/p' | awk '!seen[$0]++' | while read -r ko; do
    n=$((n + 1))
    case $ko in
      *.xz) xz -dc "$ko" >"$dir/$n.ko" ;;
      *) cp "$ko" "$dir/$n.ko" ;;
    esac
  done
}

# Nested virtualisation without hardware support opens /dev/kvm, too, but Debian's kernel hangs in it.
accel=tcg
if [ -w /dev/kvm ] && grep -qwE 'vmx|svm' /proc/cpuinfo; then accel=kvm; fi
