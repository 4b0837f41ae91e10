/* date: the dates that hosts and mail write, to UTC microseconds and back.
 *
 * Two-digit years are windowed: 00-69 are 2000-2069, 70-99 are 1970-1999 (NT-08). Dates before 1900 and after 9999 are
 * refused, as are days that a month does not have.
 */
#ifndef OVVM_CODEC_DATE_H
#define OVVM_CODEC_DATE_H

#include "base/buf.h"
#include "base/err.h"

enum { DATE_YEAR_PIVOT = 70, DATE_YEAR_MIN = 1900, DATE_YEAR_MAX = 9999 };

struct date_civil {
    int year;
    int month; /* 1-12 */
    int day;   /* 1-31 */
    int hour;
    int minute;
    int second; /* 60 is taken as 59 */
    int microsecond;
    int weekday; /* 0 Sunday; only given out */
};

struct date {
    int64_t us;       /* UTC */
    int zone_minutes; /* east of Greenwich, as written */
    bool zone_known;  /* false: no zone, or a name we do not know; taken as GMT */
};

/* Full year for a year as written with one or two digits. */
int date_year(int year);
/* False where there is no such day or time. */
bool date_from_civil(const struct date_civil *civil, int64_t *us_r);
void date_to_civil(int64_t us, struct date_civil *civil_r);
/* Minutes east of Greenwich for GMT, UT, CET, EST ..., military letters (as -0000, RFC 5322 §4.3), +hhmm. */
bool date_zone(struct span name, int *minutes_r);

/* One reader for `Sat, 13 Nov 1993 22:52:42 +0100 (CET)` (RFC 5322 §3.3 and §4.3), `13 November 93, 22:52:42 CET` (CMS
 * NOTE), `13-Nov-93 22:52`, `November 13, 1993 22:52`, `1993-11-13 22:52` and `11/13/93 22:52:42` (month first, PROFS):
 * tokens in any order, the time may be absent. ERR_BAD_CONTENT with the text where it is no date. */
int date_parse(struct span text, struct date *date_r, struct err *err);

/* `Sat, 13 Nov 1993 21:52:42 +0000` */
void date_format_mail(int64_t us, int zone_minutes, struct buf *to);
/* `13 Nov 1993 21:52:42 GMT`: day first, for hosts that stop at a comma */
void date_format_short(int64_t us, struct buf *to);
/* `13 November 93, 21:52:42 GMT` (CMS NOTE) */
void date_format_note(int64_t us, struct buf *to);
/* `11/13/93 21:52:42` (PROFS header) */
void date_format_profs(int64_t us, struct buf *to);

/* NETDATA `YYYY[MM[DD[HH[MM[SS[fraction]]]]]]`, ASCII digits, GMT (INMFTIME). */
bool date_parse_netdata(struct span digits, int64_t *us_r);
/* Twenty digits, as CMS sends it. */
void date_format_netdata(int64_t us, struct buf *to);

#endif
