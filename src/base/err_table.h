/* The one table of errors: ERR_ROW(id, family, SMTP code, enhanced status, log number, text for host users).
 * The families are those of design rule 4. Add a row where an error needs its own answer on one of the two sides;
 * elsewhere use a row that is there and say the rest in the text. */
/* clang-format off */
ERR_ROW(NONE,            NONE,      250, "2.0.0",     0, "")
/* temporary: the same thing may work later */
ERR_ROW(DISK_FULL,       TEMPORARY, 452, "4.3.1", 56119, "The connector has no room at the moment; it will be tried again.")
ERR_ROW(STORE_IO,        TEMPORARY, 451, "4.3.0", 56106, "The connector cannot use its disk at the moment; it will be tried again.")
ERR_ROW(NO_MEMORY,       TEMPORARY, 452, "4.3.1", 56101, "The connector has no memory at the moment; it will be tried again.")
ERR_ROW(BUSY,            TEMPORARY, 451, "4.3.2",  4103, "The connector is busy; it will be tried again.")
ERR_ROW(SHUTTING_DOWN,   TEMPORARY, 421, "4.3.2",   505, "The connector is stopping; it will be tried again.")
ERR_ROW(NOT_ACTIVE,      TEMPORARY, 451, "4.3.2",   512, "This connector is not active.")
ERR_ROW(TIMEOUT,         TEMPORARY, 421, "4.4.2", 23356, "The other system did not answer in time; it will be tried again.")
ERR_ROW(CONNECT,         TEMPORARY, 451, "4.4.1", 23349, "The other system cannot be reached; it will be tried again.")
ERR_ROW(PEER_TEMPORARY,  TEMPORARY, 451, "4.3.0", 22464, "The other system asked to try again later.")
ERR_ROW(LINK_DOWN,       TEMPORARY, 451, "4.4.2", 23834, "The link to that node is down; it will be tried again.")
/* permanent: the sender is told */
ERR_ROW(BAD_ADDRESS,     PERMANENT, 553, "5.1.3", 40578, "That address cannot be understood.")
ERR_ROW(UNKNOWN_USER,    PERMANENT, 550, "5.1.1", 31040, "There is no such user.")
ERR_ROW(UNKNOWN_NODE,    PERMANENT, 550, "5.1.2", 31041, "There is no such node.")
ERR_ROW(RELAY_DENIED,    PERMANENT, 550, "5.7.1", 31060, "This connector does not relay to that address.")
ERR_ROW(NOT_ALLOWED,     PERMANENT, 550, "5.7.1", 31061, "You are not allowed to do this.")
ERR_ROW(TOO_BIG,         PERMANENT, 552, "5.3.4", 40517, "The message is larger than the limit.")
ERR_ROW(TOO_MANY,        PERMANENT, 552, "5.5.3", 40518, "There are too many recipients.")
ERR_ROW(BAD_CONTENT,     PERMANENT, 554, "5.6.0", 40501, "The contents cannot be understood.")
ERR_ROW(PEER_PERMANENT,  PERMANENT, 554, "5.0.0", 22465, "The other system refused the message.")
ERR_ROW(EXPIRED,         PERMANENT, 554, "5.4.7", 22470, "The message could not be delivered in time.")
ERR_ROW(LOOP,            PERMANENT, 554, "5.4.6", 40720, "The message is in a loop.")
ERR_ROW(PROTOCOL,        PERMANENT, 554, "5.5.0", 23919, "The other system did not keep to the protocol.")
ERR_ROW(NOT_FOUND,       PERMANENT, 550, "5.1.0", 56074, "There is no such thing.")
ERR_ROW(REFUSED,         PERMANENT, 554, "5.7.0", 31062, "This is refused.")
ERR_ROW(CONFIG,          PERMANENT, 554, "5.3.5",   510, "The connector is not set up correctly.")
/* bugs: quarantined, never in the way of the next letter */
ERR_ROW(BUG,             BUG,       554, "5.3.0",   511, "The connector could not handle the message; its operator has been told.")
ERR_ROW(TRANSLATOR_DIED, BUG,       554, "5.3.0",  4118, "The connector could not translate the message; its operator has been told.")
ERR_ROW(TRANSLATOR_TIMEOUT, BUG,    554, "5.3.0",  4119, "The connector could not translate the message; its operator has been told.")
ERR_ROW(TRANSLATOR_MEMORY, BUG,     554, "5.3.0",  4121, "The connector could not translate the message; its operator has been told.")
/* clang-format on */
