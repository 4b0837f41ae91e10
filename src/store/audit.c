/* Rows are only added: an operator who deletes a letter must not be able to delete that he did. */
#include "store/audit.h"

int audit_add(struct db *db, int64_t at_us, const char *who, const char *what, struct span detail, struct err *err)
{
    return db_run(db, err, "INSERT INTO audit (at_us, who, what, detail) VALUES (?1, ?2, ?3, ?4)", "ibtb", at_us,
                  span_text(who), what, detail) == -1
               ? -1
               : 0;
}
