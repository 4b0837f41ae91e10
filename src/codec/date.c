/* Dates. The old product showed 1 January 1601 for a date it could not read, and took 1926 for 2026: so what cannot be
 * read is an error (and the caller puts the time of receipt), and years are windowed in one place. */
#include "codec/date.h"

#define US_PER_SECOND INT64_C(1000000)

enum { SECONDS_PER_DAY = 86400, EPOCH_YEAR = 1970, DATE_TEXT_MAX = 256, ZONE_HOURS_MAX = 15 };

static const char *const months[] = { "January", "February", "March",     "April",   "May",      "June",
                                      "July",    "August",   "September", "October", "November", "December" };
static const char *const weekdays[] = { "Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday" };

/* Names that hosts set in SYSTEM CONFIG and CLOCK parameters, and those of RFC 5322 §4.3. Where one name is used on
 * several continents the one that IBM's examples use is meant. */
static const struct {
    const char *name;
    int minutes;
} zones[] = {
    { "GMT", 0 },    { "UT", 0 },     { "UTC", 0 },     { "Z", 0 },        { "WET", 0 },    { "WEST", 60 },
    { "BST", 60 },   { "CET", 60 },   { "MET", 60 },    { "MEZ", 60 },     { "SET", 60 },   { "CEST", 120 },
    { "MEST", 120 }, { "MESZ", 120 }, { "CEDT", 120 },  { "METDST", 120 }, { "EET", 120 },  { "SAST", 120 },
    { "EEST", 180 }, { "MSK", 180 },  { "JST", 540 },   { "KST", 540 },    { "HKT", 480 },  { "AWST", 480 },
    { "AEST", 600 }, { "AEDT", 660 }, { "NZST", 720 },  { "NZDT", 780 },   { "AST", -240 }, { "ADT", -180 },
    { "EST", -300 }, { "EDT", -240 }, { "CST", -360 },  { "CDT", -300 },   { "MST", -420 }, { "MDT", -360 },
    { "PST", -480 }, { "PDT", -420 }, { "AKST", -540 }, { "AKDT", -480 },  { "HST", -600 }, { "NST", -210 },
    { "NDT", -150 }, { "BRT", -180 }, { "ART", -180 },
};

int date_year(int year)
{
    if (year >= 100)
        return year < 1000 ? year + 1900 : year; /* three digits: RFC 5322 §4.3 */
    return year < DATE_YEAR_PIVOT ? year + 2000 : year + 1900;
}

static bool leap(int year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static int days_in_month(int year, int month)
{
    static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    return month == 2 && leap(year) ? 29 : days[month - 1];
}

/* Days from 1970-01-01 of the first day of a year >= 1. */
static int64_t days_before_year(int year)
{
    int64_t before = year - 1;
    int64_t epoch = EPOCH_YEAR - 1;
    return (before - epoch) * 365 + before / 4 - epoch / 4 - (before / 100 - epoch / 100) + before / 400 - epoch / 400;
}

bool date_from_civil(const struct date_civil *civil, int64_t *us_r)
{
    *us_r = 0;
    if (civil->year < DATE_YEAR_MIN || civil->year > DATE_YEAR_MAX || civil->month < 1 || civil->month > 12 ||
        civil->day < 1 || civil->day > days_in_month(civil->year, civil->month))
        return false;
    if (civil->hour < 0 || civil->hour > 23 || civil->minute < 0 || civil->minute > 59 || civil->second < 0 ||
        civil->second > 60 || civil->microsecond < 0 || civil->microsecond >= US_PER_SECOND)
        return false;
    int64_t days = days_before_year(civil->year) + civil->day - 1;
    for (int month = 1; month < civil->month; month++)
        days += days_in_month(civil->year, month);
    int second = civil->second == 60 ? 59 : civil->second;
    int64_t seconds = days * SECONDS_PER_DAY + civil->hour * 3600 + civil->minute * 60 + second;
    *us_r = seconds * US_PER_SECOND + civil->microsecond;
    return true;
}

void date_to_civil(int64_t us, struct date_civil *civil_r)
{
    int64_t seconds = us / US_PER_SECOND;
    int64_t microsecond = us % US_PER_SECOND;
    if (microsecond < 0) {
        microsecond += US_PER_SECOND;
        seconds--;
    }
    int64_t days = seconds / SECONDS_PER_DAY;
    int64_t second = seconds % SECONDS_PER_DAY;
    if (second < 0) {
        second += SECONDS_PER_DAY;
        days--;
    }
    /* an estimate that is never late, then at most two steps */
    int64_t guess = EPOCH_YEAR + days * 400 / 146097 - 1;
    int year = guess < 1 ? 1 : guess > DATE_YEAR_MAX ? DATE_YEAR_MAX : (int)guess;
    while (year < DATE_YEAR_MAX && days_before_year(year + 1) <= days)
        year++;
    int64_t rest = days - days_before_year(year);
    int64_t last = leap(year) ? 365 : 364;
    rest = rest < 0 ? 0 : rest > last ? last : rest;
    int month = 1;
    while (month < 12 && rest >= days_in_month(year, month)) {
        rest -= days_in_month(year, month);
        month++;
    }
    int weekday = (int)(((days + 4) % 7 + 7) % 7);
    *civil_r = (struct date_civil){ .year = year,
                                    .month = month,
                                    .day = (int)rest + 1,
                                    .hour = (int)(second / 3600),
                                    .minute = (int)(second / 60 % 60),
                                    .second = (int)(second % 60),
                                    .microsecond = (int)microsecond,
                                    .weekday = weekday };
}

static bool is_digit(uint8_t byte)
{
    return byte >= '0' && byte <= '9';
}

static bool is_letter(uint8_t byte)
{
    return (byte >= 'A' && byte <= 'Z') || (byte >= 'a' && byte <= 'z');
}

/* All of `text` as a number of at most `digits` digits. */
static bool number(struct span text, size_t digits, int *value_r)
{
    *value_r = 0;
    if (text.size == 0 || text.size > digits)
        return false;
    for (size_t i = 0; i < text.size; i++) {
        if (!is_digit(text.at[i]))
            return false;
        *value_r = *value_r * 10 + (text.at[i] - '0');
    }
    return true;
}

bool date_zone(struct span name, int *minutes_r)
{
    *minutes_r = 0;
    if (name.size >= 3 && (name.at[0] == '+' || name.at[0] == '-')) {
        struct span digits = span_slice(name, 1, SIZE_MAX);
        int hours;
        int minutes = 0;
        bool colon = digits.size == 5 && digits.at[2] == ':';
        if (!number(span_slice(digits, 0, 2), 2, &hours) || hours > ZONE_HOURS_MAX ||
            (digits.size > 2 && !number(span_slice(digits, colon ? 3 : 2, SIZE_MAX), 2, &minutes)) || minutes > 59)
            return false;
        *minutes_r = (hours * 60 + minutes) * (name.at[0] == '-' ? -1 : 1);
        return true;
    }
    for (size_t i = 0; i < sizeof zones / sizeof zones[0]; i++) {
        if (span_equal_nocase(name, span_text(zones[i].name))) {
            *minutes_r = zones[i].minutes;
            return true;
        }
    }
    return false;
}

/* 1-12 for the name of a month, at least its first three letters. */
static int month_of(struct span name)
{
    name = span_trim_end(name, '.');
    for (int i = 0; i < 12; i++) {
        struct span month = span_text(months[i]);
        if (name.size >= 3 && name.size <= month.size && span_equal_nocase(name, span_slice(month, 0, name.size)))
            return i + 1;
    }
    return 0;
}

static bool is_weekday(struct span name)
{
    name = span_trim_end(name, '.');
    for (size_t i = 0; i < sizeof weekdays / sizeof weekdays[0]; i++) {
        struct span day = span_text(weekdays[i]);
        if (name.size >= 2 && name.size <= day.size && span_equal_nocase(name, span_slice(day, 0, name.size)))
            return true;
    }
    return false;
}

/* hh:mm[:ss[.fraction]] */
static bool parse_time(struct span token, struct date_civil *civil)
{
    struct reader reader = reader_of(token);
    bool good =
        number(reader_until(&reader, ':'), 2, &civil->hour) && number(reader_until(&reader, ':'), 2, &civil->minute);
    if (good && reader.rest.size > 0)
        good = number(reader_until(&reader, '.'), 2, &civil->second);
    return good;
}

/* mm/dd/yy, and yyyy-mm-dd or dd-Mon-yy */
static bool parse_joined(struct span token, uint8_t separator, struct date_civil *civil)
{
    struct reader reader = reader_of(token);
    struct span first = reader_until(&reader, separator);
    struct span second = reader_until(&reader, separator);
    struct span third = reader.rest;
    int year = -1;
    bool good;
    if (first.size == 4)
        good = number(first, 4, &year) && number(second, 2, &civil->month) && number(third, 2, &civil->day);
    else if (second.size > 0 && is_letter(second.at[0]))
        good = number(first, 2, &civil->day) && (civil->month = month_of(second)) != 0 && number(third, 4, &year);
    else
        good = number(first, 2, &civil->month) && number(second, 2, &civil->day) && number(third, 4, &year);
    civil->year = good ? date_year(year) : 0;
    return good;
}

static bool take_number(struct span token, struct date_civil *civil)
{
    int value;
    if (!number(token, 4, &value))
        return false;
    if (civil->day == 0 && token.size <= 2) {
        civil->day = value;
        return true;
    }
    if (civil->year != 0)
        return false;
    civil->year = date_year(value);
    return true;
}

/* One token of a date; false where it is none. */
static bool take_token(struct span token, struct date_civil *civil, bool *time_seen, struct date *date)
{
    int minutes;
    size_t colon = span_find(token, ':');
    if (!*time_seen && colon > 0 && colon < token.size && is_digit(token.at[0])) {
        *time_seen = true;
        return parse_time(token, civil);
    }
    if (*time_seen && !date->zone_known && (token.at[0] == '+' || token.at[0] == '-')) {
        date->zone_known = date_zone(token, &date->zone_minutes);
        return date->zone_known;
    }
    if (is_digit(token.at[0]) && civil->month == 0 && span_find(token, '/') < token.size)
        return parse_joined(token, '/', civil);
    if (is_digit(token.at[0]) && civil->month == 0 && span_find(token, '-') < token.size)
        return parse_joined(token, '-', civil);
    if (is_digit(token.at[0]))
        return take_number(token, civil);
    if (civil->month == 0 && (civil->month = month_of(token)) != 0)
        return true;
    if (!*time_seen && is_weekday(token))
        return true;
    if (date_zone(token, &minutes)) {
        date->zone_known = true;
        date->zone_minutes = minutes;
        return true;
    }
    return is_letter(token.at[0]); /* an unknown zone, "at", a weekday in another language */
}

static struct span next_token(struct reader *reader)
{
    int depth = 0; /* RFC 5322 comments nest */
    size_t from = 0;
    size_t i = 0;
    for (; i < reader->rest.size; i++) {
        uint8_t byte = reader->rest.at[i];
        if (byte == '(')
            depth++;
        bool gap = depth > 0 || byte == ' ' || byte == '\t' || byte == ',' || byte == '\r' || byte == '\n';
        if (byte == ')' && depth > 0)
            depth--;
        if (!gap)
            continue;
        if (i > from)
            break;
        from = i + 1;
    }
    struct span token = span_slice(reader->rest, from, i - from);
    reader_skip(reader, i);
    return token;
}

int date_parse(struct span text, struct date *date_r, struct err *err)
{
    *date_r = (struct date){ .us = 0 };
    struct date_civil civil = { .year = 0 };
    bool time_seen = false;
    bool good = text.size <= DATE_TEXT_MAX;
    struct reader reader = reader_of(text);
    while (good) {
        struct span token = next_token(&reader);
        if (token.size == 0)
            break;
        good = take_token(token, &civil, &time_seen, date_r);
    }
    int64_t us;
    if (!good || !date_from_civil(&civil, &us)) {
        char shown[64];
        span_to_text(text, shown, sizeof shown);
        *date_r = (struct date){ .us = 0 };
        return err_set(err, ERR_BAD_CONTENT, "\"%s\" is no date", shown);
    }
    date_r->us = us - date_r->zone_minutes * 60 * US_PER_SECOND;
    return 0;
}

void date_format_mail(int64_t us, int zone_minutes, struct buf *to)
{
    struct date_civil civil;
    date_to_civil(us + zone_minutes * 60 * US_PER_SECOND, &civil);
    int zone = zone_minutes < 0 ? -zone_minutes : zone_minutes;
    buf_printf(to, "%.3s, %d %.3s %04d %02d:%02d:%02d %c%02d%02d", weekdays[civil.weekday], civil.day,
               months[civil.month - 1], civil.year, civil.hour, civil.minute, civil.second,
               zone_minutes < 0 ? '-' : '+', zone / 60, zone % 60);
}

void date_format_short(int64_t us, struct buf *to)
{
    struct date_civil civil;
    date_to_civil(us, &civil);
    buf_printf(to, "%d %.3s %04d %02d:%02d:%02d GMT", civil.day, months[civil.month - 1], civil.year, civil.hour,
               civil.minute, civil.second);
}

void date_format_note(int64_t us, struct buf *to)
{
    struct date_civil civil;
    date_to_civil(us, &civil);
    buf_printf(to, "%d %s %02d, %02d:%02d:%02d GMT", civil.day, months[civil.month - 1], civil.year % 100, civil.hour,
               civil.minute, civil.second);
}

void date_format_profs(int64_t us, struct buf *to)
{
    struct date_civil civil;
    date_to_civil(us, &civil);
    buf_printf(to, "%02d/%02d/%02d %02d:%02d:%02d", civil.month, civil.day, civil.year % 100, civil.hour, civil.minute,
               civil.second);
}

bool date_parse_netdata(struct span digits, int64_t *us_r)
{
    struct date_civil civil = { .month = 1, .day = 1 };
    int *const fields[] = { &civil.month, &civil.day, &civil.hour, &civil.minute, &civil.second };
    bool good = digits.size >= 4 && number(span_slice(digits, 0, 4), 4, &civil.year);
    size_t at = 4;
    for (size_t i = 0; good && i < sizeof fields / sizeof fields[0] && at < digits.size; i++, at += 2)
        good = digits.size - at >= 2 && number(span_slice(digits, at, 2), 2, fields[i]);
    int scale = (int)US_PER_SECOND / 10;
    for (; good && at < digits.size; at++, scale /= 10) {
        good = is_digit(digits.at[at]);
        civil.microsecond += (digits.at[at] - '0') * (good ? scale : 0);
    }
    return date_from_civil(&civil, us_r) && good;
}

void date_format_netdata(int64_t us, struct buf *to)
{
    struct date_civil civil;
    date_to_civil(us, &civil);
    buf_printf(to, "%04d%02d%02d%02d%02d%02d%06d", civil.year, civil.month, civil.day, civil.hour, civil.minute,
               civil.second, civil.microsecond);
}
