# shellcheck shell=bash
#
# Repositories for tests. Source tap.sh first.
#
#   sample_repo FOLDER NAME       FOLDER/NAME.git, bare: the real repository of that name
#                                 ("redis", "git") out of NAME.git.tar in
#                                 $GIT_FS_TEST_DATA, where there is one, else a made-up
#                                 one of about 1,600 files
#   make_plain_repo DIR [sha256]  the made-up one
#   make_odd_repo DIR [sha256] [big]   bare, with all that git can hold and filesystems
#                                 trip over; "big": and a file of 128 MiB
#   stream_bytes COUNT            the first COUNT bytes of a fixed pseudo-random stream
#
# Made-up ones are the same, to the commit's id, on every machine.
#
# Refs of an odd repository:
#   refs/heads/main     what can be checked out
#   refs/heads/refused  names that must never be shown: ".", "..", ".git", ".GIT"; one of
#                       300 bytes; and files that can be shown, "good" and "git~1"
#                       (which git itself will not check out)
#   refs/heads/modes    modes of old gits: 100664, 100600, 100775
#   refs/heads/empty    a commit whose tree is empty
#   refs/tags/v1        annotated, at main; refs/tags/light, at main;
#                       refs/tags/nested, a tag of v1

TEST_DATA=${GIT_FS_TEST_DATA:-$CHECKOUT/../shared/data}

sample_repo() {
	local folder=$1 name=$2

	if [ -f "$TEST_DATA/$name.git.tar" ]; then
		tar -x -C "$folder" --no-same-owner -f "$TEST_DATA/$name.git.tar"
	else
		make_plain_repo "$folder/$name.git"
	fi
}

stream_bytes() {
	openssl enc -aes-128-ctr -K 00112233445566778899aabbccddeeff \
		-iv 00000000000000000000000000000000 -in /dev/zero 2>/dev/null | head -c "$1"
}

init_bare() {
	git init -q --bare --object-format="${2:-sha1}" --initial-branch=main "$1"
}

# The head of a commit in fast-import's language: fast_commit REF MESSAGE
fast_commit() {
	printf 'commit %s\ncommitter Odd Person <odd@example.org> 1700000000 +0000\n' "$1"
	printf 'data %d\n%s\n' "${#2}" "$2"
}

make_plain_repo() {
	init_bare "$1" "${2:-sha1}"
	{
		fast_commit refs/heads/main 'A made-up project'
		awk 'BEGIN {
			for (i = 0; i < 1600; i++) {
				text = ""
				for (j = 0; j <= (i * 37) % 101; j++)
					text = text "line " j " of file " i "\n"
				printf "M %s inline src/part%02d/sub%d/file%04d.c\n",
					i % 50 ? "100644" : "100755", i % 32, i % 3, i
				printf "data %d\n%s\n", length(text), text
			}
		}'
	} | git -C "$1" fast-import --quiet
}

# M lines for files whose contents come from a command: fast_file MODE PATH TEXT
fast_file() {
	printf 'M %s inline %s\ndata %d\n%s\n' "$1" "$2" "$(printf %s "$3" | wc -c)" "$3"
}

# The same for bytes that a shell variable cannot hold.
fast_stream() {
	printf 'M 100644 inline %s\ndata %d\n' "$1" "$2"
	stream_bytes "$2"
	printf '\n'
}

# Names as fast-import quotes them; the printf of bash makes no NUL, nor does git.
odd_names() {
	local long utf8 deep='' i

	printf -v long '%0255d' 0
	printf -v utf8 '%0.s\\303\\244' {1..127}
	fast_file 100644 '"with blank"' 'blank'
	fast_file 100644 '" leading and trailing "' 'blanks'
	fast_file 100644 '"new\nline"' 'newline'
	fast_file 100644 '"tab\there"' 'tab'
	fast_file 100644 '"controls\001\033[31m\177"' 'controls'
	fast_file 100644 '"gr\303\274n.txt"' 'UTF-8'
	fast_file 100644 '"\343\201\262\343\202\211\360\237\220\237"' 'more UTF-8'
	fast_file 100644 '"invalid\377\376\200utf8"' 'no UTF-8'
	fast_file 100644 '"cut\303"' 'half a character'
	fast_file 100644 '"composed\303\251"' 'NFC'
	fast_file 100644 '"composede\314\201"' 'NFD'
	fast_file 100644 '-rf' 'leading minus'
	fast_file 100644 '--' 'two minuses'
	fast_file 100644 '"back\\slash"' 'backslash'
	fast_file 100644 '"quote\"and'\''s"' 'quotes'
	fast_file 100644 '*' 'star'
	# shellcheck disable=SC2016 # to be taken as it stands
	fast_file 100644 '"[a]?$HOME`id`"' 'shell'
	fast_file 100644 '...' 'three dots'
	fast_file 100644 '.gitignore' 'ignored'
	fast_file 100644 '.gitx' 'not .git'
	fast_file 100644 'con.txt' 'reserved elsewhere'
	fast_file 100644 'Case' 'upper'
	fast_file 100644 'case' 'lower'
	fast_file 100644 "long/$long" '255 bytes'
	fast_file 100644 "\"long/x$utf8\"" '255 bytes of UTF-8'
	# git sorts a folder as if it ended in '/': these three change places.
	fast_file 100644 'sort.txt' 'sort.txt'
	fast_file 100644 'sort/file' 'sort/file'
	fast_file 100644 'sort0' 'sort0'
	for ((i = 1; i <= 30; i++)); do
		deep+="level$i/"
	done
	fast_file 100644 "${deep}leaf" 'thirty levels down'
}

odd_links() {
	local long i

	printf -v long '%0.slong/' {1..800}
	fast_file 100755 'modes/tool' '#!/bin/sh'
	fast_file 100644 'modes/plain' 'plain'
	fast_file 120000 'links/relative' '../sizes/s4095'
	fast_file 120000 'links/folder' '../modes'
	fast_file 120000 'links/dangling' 'nowhere/at all'
	fast_file 120000 'links/absolute' '/nonexistent/git-fs-test'
	fast_file 120000 'links/self' 'self'
	fast_file 120000 'links/long' "$long"
	fast_file 120000 '"links/bytes\377"' $'\377\n\t'
	for i in 0 1 4095 4096 4097 131071 131072 131073 1048575 1048576 1048577; do
		fast_stream "sizes/s$i" "$i"
	done
}

make_odd_repo() {
	local dir=$1 algo=sha1 big='' option blob commit id

	shift
	for option in "$@"; do
		case $option in
		sha256) algo=sha256 ;;
		big) big=yes ;;
		*) diag "make_odd_repo: no option $option" && return 2 ;;
		esac
	done
	init_bare "$dir" "$algo" || return 1
	commit=$(printf %s 'a commit of another repository' |
		git -C "$dir" hash-object --stdin)
	{
		fast_commit refs/heads/main $'Odd things\n\nwith a body'
		odd_names
		odd_links
		printf 'M 160000 %s submodules/lib\n' "$commit"
		awk 'BEGIN {
			for (i = 0; i < 2000; i++)
				printf "M 100644 inline many/f%04d\ndata %d\nfile %04d\n\n", i, 10, i
		}'
		if [ -n "$big" ]; then
			fast_stream big.bin $((128 << 20))
		fi
		fast_commit refs/heads/empty 'Nothing'
		printf 'reset refs/tags/light\nfrom refs/heads/main\n\n'
		printf 'tag v1\nfrom refs/heads/main\n'
		printf 'tagger Odd Person <odd@example.org> 1700000000 +0000\ndata 2\nv1\n'
	} | git -C "$dir" -c core.compression=1 -c pack.compression=1 fast-import --quiet || return 1

	blob=$(printf good | git -C "$dir" hash-object -w --stdin)
	printf -v id '%0300d' 0
	odd_branch "$dir" refused "$blob" 100644 . 100644 .. 100644 .git 100644 .GIT \
		100644 "$id" 100644 good 100644 git~1 || return 1
	odd_branch "$dir" modes "$blob" 100664 group 100600 private 100775 tool || return 1
	odd_commit git -C "$dir" -c advice.nestedTag=false tag -a -m nested nested v1
}

odd_commit() {
	GIT_AUTHOR_NAME='Odd Person' GIT_AUTHOR_EMAIL=odd@example.org \
		GIT_COMMITTER_NAME='Odd Person' GIT_COMMITTER_EMAIL=odd@example.org \
		GIT_AUTHOR_DATE='1700000000 +0000' GIT_COMMITTER_DATE='1700000000 +0000' "$@"
}

# odd_branch DIR NAME BLOB [MODE FILE]...: a branch whose tree is made by mktree(1),
# which looks at fewer things than the index does.
odd_branch() {
	local dir=$1 name=$2 blob=$3 tree commit

	shift 3
	tree=$(printf "%s blob $blob\t%s\n" "$@" | git -C "$dir" mktree) &&
		commit=$(odd_commit git -C "$dir" commit-tree -m "$name" "$tree") &&
		git -C "$dir" update-ref "refs/heads/$name" "$commit"
}
