/* Texts, names and classes of the error codes, from the one table in tern/error.h.
 * SPDX-License-Identifier: Apache-2.0 */
#include <tern/error.h>
#include <tern/types.h>

typedef struct error_row {
    int code;
    tern_error_class cls;
    const char *name;
    const char *text;
} error_row;

static const error_row rows[] = {
#define ROW(name, code, cls, text) {code, TERN_CLASS_##cls, "TERN_E_" #name, text},
    TERN_ERRORS(ROW)
#undef ROW
};

enum { ROWS = sizeof rows / sizeof rows[0] };

static const error_row *find(int code)
{
    for (int i = 0; i < ROWS; i++)
        if (rows[i].code == code) return &rows[i];
    return NULL;
}

const char *tern_strerror(int error)
{
    const error_row *row = find(error);
    return row != NULL ? row->text : error == 0 ? "success" : "unknown error";
}

const char *tern_error_name(int error)
{
    const error_row *row = find(error);
    return row != NULL ? row->name : error == 0 ? "TERN_OK" : "unknown";
}

tern_error_class tern_error_class_of(int error)
{
    const error_row *row = find(error);
    return row != NULL ? row->cls : TERN_CLASS_NONE;
}

size_t tern_error_count(void)
{
    return ROWS;
}

int tern_error_at(size_t index)
{
    return index < ROWS ? rows[index].code : 0;
}

const char *tern_outcome_name(tern_outcome outcome)
{
    static const char *const names[] = {"PENDING", "DELIVERED", "SENT", "REFUSED", "NOT_SENT", "UNKNOWN"};
    return (unsigned)outcome < sizeof names / sizeof names[0] ? names[outcome] : "?";
}

const char *tern_cause_name(tern_cause cause)
{
    static const char *const names[] = {"none",        "expired", "dropped",   "too large",
                                        "unsupported", "store",   "cancelled", "closed",
                                        "connection lost", "session lost"};
    return (unsigned)cause < sizeof names / sizeof names[0] ? names[cause] : "?";
}
