#!/usr/bin/perl
# git http-backend as a host runs it that does not offer object-info: git from
# 2.45 on has transfer.advertiseObjectInfo for that, off by default; older ones
# always offer it. The line is taken out of the advertisement, and the command is
# given a name that git does not know, so that it is refused in git's own way.
use strict;
use warnings;
use IO::Handle;
use IO::Uncompress::Gunzip qw(gunzip);

binmode STDIN;
binmode STDOUT;

if (($ENV{REQUEST_METHOD} // '') ne 'POST') {
	open(my $backend, '-|', 'git', 'http-backend') or die "git http-backend: $!\n";
	binmode $backend;
	my $reply = do { local $/; <$backend> };
	close($backend);
	$reply =~ s/^[0-9a-f]{4}object-info[^\n]*\n//m;
	print $reply;
	exit 0;
}

my ($body, $plain) = ('', '');
my $length = $ENV{CONTENT_LENGTH} || 0;
die "the request is cut off\n" unless (read(STDIN, $body, $length) // -1) == $length;
if (($ENV{HTTP_CONTENT_ENCODING} // '') =~ /gzip/) {
	gunzip(\$body => \$plain) or die "the request does not gunzip\n";
	delete $ENV{HTTP_CONTENT_ENCODING};
} else {
	$plain = $body;
}
$plain =~ s/^([0-9a-f]{4}command=object)-info/$1-nope/;

open(my $file, '+>', undef) or die "temporary file: $!\n";
binmode $file;
print $file $plain;
$file->flush();
sysseek($file, 0, 0);
open(STDIN, '<&', $file) or die "stdin: $!\n";
$ENV{CONTENT_LENGTH} = length $plain;
exec('git', 'http-backend') or die "git http-backend: $!\n";
