# The front door: a short way to each script. The build itself is Meson's; each
# kind of build has its own folder under build/ (scripts/build.sh lists them).

PREFIX ?= /usr/local
DESTDIR ?=
FUZZ_SECONDS ?= 60

# For scripts/mount.sh: what to mount, where, which ref, whether to write to it; empty means
# its defaults.
export REPO DIR REF WRITABLE

.PHONY: help deps build mount unmount check check-all lint bench fuzz crash install clean
.DEFAULT_GOAL := help

help:
	@echo 'On a fresh Debian 12, as root or with sudo:'
	@echo '  make mount      install what is missing, build, mount this repository under build/mnt'
	@echo '                  (REPO=url-or-path DIR=folder REF=branch for another;'
	@echo '                  WRITABLE=1 to change it)'
	@echo '  make check      install what is missing, build, run all tests'
	@echo
	@echo 'One at a time:'
	@echo '  make deps       install the missing Debian packages, for everything here'
	@echo '  make build      build build/release/src/cli/git-fs'
	@echo '  make unmount    undo make mount'
	@echo '  make install    to $$DESTDIR$$PREFIX ($(PREFIX)): git-fs, git fs, their man pages'
	@echo '  make check-all  make check, then TSan, clang and the long runs'
	@echo '  make lint       layers, sizes, format, -Werror by two compilers, clang-tidy, shellcheck'
	@echo '  make crash      tests/crash, 1,000 kills; make fuzz: each fuzzer, FUZZ_SECONDS=$(FUZZ_SECONDS)'
	@echo '  make bench      bench/run'
	@echo '  make clean      unmount and remove build/'

deps:
	@scripts/deps.sh build test lint

build:
	@scripts/deps.sh build
	@scripts/build.sh release src/cli/git-fs

mount: build
	@scripts/mount.sh mount

unmount:
	@scripts/mount.sh unmount

check:
	@scripts/deps.sh build test
	@tests/run

check-all:
	@scripts/deps.sh build test lint
	@tests/run --all

crash:
	@scripts/deps.sh build test
	@GIT_FS_LONG=1 tests/run crash

fuzz:
	@scripts/deps.sh build test lint
	@scripts/fuzz.sh $(FUZZ_SECONDS)

lint:
	@scripts/deps.sh build test lint
	@scripts/lint

bench: build
	@scripts/deps.sh build test
	@bench/run

install:
	@scripts/deps.sh build
	@scripts/build.sh release
	@scripts/install.sh '$(DESTDIR)' '$(PREFIX)'

clean: unmount
	@rm -rf --one-file-system build
