/* PB_TEST_SANITIZED: built with the address or the thread sanitizer, so that
 * everything takes many times longer. */
#ifndef PB_TEST_SANITIZED_H
#define PB_TEST_SANITIZED_H

#if defined(__has_feature)
#if __has_feature(thread_sanitizer) || __has_feature(address_sanitizer)
#define PB_TEST_SANITIZED 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define PB_TEST_SANITIZED 1
#endif
#ifndef PB_TEST_SANITIZED
#define PB_TEST_SANITIZED 0
#endif

#endif
