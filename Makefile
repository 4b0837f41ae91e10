# Thin: what a target does stands in scripts/ and meson.build.
.PHONY: all demo run check soak bench fuzz install clean

all:
	scripts/build

demo:
	scripts/install-deps build
	scripts/build
	scripts/demo

run: all
	scripts/run

check:
	scripts/install-deps build test peers
	scripts/check

soak: all
	scripts/soak

bench: all
	scripts/bench

fuzz:
	scripts/fuzz --seconds 60

install: all
	meson install -C build/release --no-rebuild

clean:
	rm -rf build
