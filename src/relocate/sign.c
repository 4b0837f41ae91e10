/* Checksums find damage; a signature says who made the bundle. Ed25519 keys as openssl(1) writes them, so that either
 * can be made and checked without this program. */
#include "relocate/bundle_private.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* No terminal is asked for the passphrase of a key. */
static int no_passphrase(char *to_r, int size, int writing, void *arg)
{
    (void)to_r;
    (void)size;
    (void)writing;
    (void)arg;
    return -1;
}

static EVP_PKEY *read_key(const char *path, bool secret, struct err *err)
{
    struct stat status;
    FILE *file = fopen(path, "re");
    EVP_PKEY *key = NULL;
    if (file == NULL) {
        (void)err_set(err, ERR_REFUSED, "the key %.180s: %m", path);
        return NULL;
    }
    if (secret && fstat(fileno(file), &status) == 0 && (status.st_mode & S_IROTH) != 0)
        (void)err_set(err, ERR_REFUSED, "all users can read the key %.150s: chmod o-r", path);
    else
        key = secret ? PEM_read_PrivateKey(file, NULL, no_passphrase, NULL)
                     : PEM_read_PUBKEY(file, NULL, no_passphrase, NULL);
    (void)fclose(file);
    if (key == NULL && err->id == ERR_NONE)
        (void)err_set(err, ERR_REFUSED, "%.150s is no %s key in PEM", path, secret ? "private" : "public");
    if (key != NULL && EVP_PKEY_get_id(key) != EVP_PKEY_ED25519) {
        (void)err_set(err, ERR_REFUSED, "%.150s is no Ed25519 key: openssl genpkey -algorithm ed25519 makes one", path);
        EVP_PKEY_free(key);
        return NULL;
    }
    return key;
}

int sign_make(const char *key_file, struct span bytes, uint8_t signature_r[BUNDLE_SIGNATURE], struct err *err)
{
    size_t size = BUNDLE_SIGNATURE;
    EVP_PKEY *key = read_key(key_file, true, err);
    if (key == NULL)
        return -1;
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    int result = context != NULL && EVP_DigestSignInit(context, NULL, NULL, NULL, key) == 1 &&
                         EVP_DigestSign(context, signature_r, &size, bytes.at, bytes.size) == 1
                     ? 0
                     : err_set(err, ERR_REFUSED, "the bundle cannot be signed with %.150s", key_file);
    EVP_MD_CTX_free(context);
    EVP_PKEY_free(key);
    return result;
}

int sign_check(const char *key_file, struct span bytes, struct span signature, struct err *err)
{
    EVP_PKEY *key = read_key(key_file, false, err);
    if (key == NULL)
        return -1;
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool right = context != NULL && signature.size == BUNDLE_SIGNATURE &&
                 EVP_DigestVerifyInit(context, NULL, NULL, NULL, key) == 1 &&
                 EVP_DigestVerify(context, signature.at, signature.size, bytes.at, bytes.size) == 1;
    EVP_MD_CTX_free(context);
    EVP_PKEY_free(key);
    return right ? 0
                 : err_set(err, ERR_BAD_CONTENT, "the bundle was not signed with the other half of %.150s", key_file);
}
