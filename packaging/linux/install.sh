#!/bin/sh
# Install Paretoscope for this user (or under PREFIX): program, commands, desktop entry, icon and the
# file type of .paretoscope. `./install.sh --remove` removes all of it again.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
prefix=${PREFIX:-$HOME/.local}
home="$prefix/lib/paretoscope"
share="$prefix/share"
sizes="16 24 32 48 64 128 256 512"

refresh() {
    if command -v update-desktop-database >/dev/null 2>&1; then
        update-desktop-database -q "$share/applications" || true
    fi
    if command -v update-mime-database >/dev/null 2>&1; then
        update-mime-database "$share/mime" || true
    fi
    if command -v gtk-update-icon-cache >/dev/null 2>&1; then
        gtk-update-icon-cache -q -t "$share/icons/hicolor" || true
    fi
}

if [ "${1:-}" = "--remove" ]; then
    rm -rf "$home"
    rm -f "$prefix/bin/paretoscope" "$prefix/bin/paretoscope-cli" \
        "$share/applications/paretoscope.desktop" "$share/mime/packages/paretoscope.xml"
    for size in $sizes; do
        rm -f "$share/icons/hicolor/${size}x${size}/apps/paretoscope.png"
    done
    rm -f "$share/icons/hicolor/scalable/apps/paretoscope.svg"
    refresh
    echo "Paretoscope was removed from $prefix; your projects and settings were left."
    exit 0
fi

mkdir -p "$prefix/bin" "$prefix/lib" "$share/applications" "$share/mime/packages"
rm -rf "$home.new"
cp -R "$here" "$home.new"
rm -rf "$home"
mv "$home.new" "$home"
ln -sf "$home/paretoscope" "$prefix/bin/paretoscope"
ln -sf "$home/paretoscope-cli" "$prefix/bin/paretoscope-cli"
sed "s#^Exec=paretoscope#Exec=\"$home/paretoscope\"#" \
    "$here/share/paretoscope.desktop" >"$share/applications/paretoscope.desktop"
cp "$here/share/paretoscope-mime.xml" "$share/mime/packages/paretoscope.xml"
for size in $sizes; do
    mkdir -p "$share/icons/hicolor/${size}x${size}/apps"
    cp "$here/share/icons/paretoscope-$size.png" \
        "$share/icons/hicolor/${size}x${size}/apps/paretoscope.png"
done
mkdir -p "$share/icons/hicolor/scalable/apps"
cp "$here/share/icons/paretoscope.svg" "$share/icons/hicolor/scalable/apps/paretoscope.svg"
refresh
echo "Paretoscope is installed in $prefix; start it from the menu or as $prefix/bin/paretoscope"
