/*
 * Hex digits, read strictly: one digit at a time, so that no caller can take
 * half a number for a whole one.
 */
#ifndef GIT_FS_GIT_HEX_H
#define GIT_FS_GIT_HEX_H

#include <stdint.h>

/* 0..15, of either case; -1 for what is no digit. */
static inline int hex_value(uint8_t digit)
{
	if (digit >= '0' && digit <= '9')
		return digit - '0';
	if (digit >= 'a' && digit <= 'f')
		return digit - 'a' + 10;
	if (digit >= 'A' && digit <= 'F')
		return digit - 'A' + 10;
	return -1;
}

#endif
