// Includes the other libraries, as far as they are installed: foreign.hpp must see every one of
// them.
#if __has_include(<rabbitmq-c/amqp.h>)
#include <rabbitmq-c/amqp.h>
#else
#include <amqp.h>
#endif
#if __has_include(<mysql.h>)
#include <mysql.h>
#define BEDS_HAS_MARIADB 1
#endif
#if __has_include(<mongoc/mongoc.h>)
#include <mongoc/mongoc.h>
#define BEDS_HAS_MONGODB 1
#endif
#include <boost/asio/post.hpp>

#include <openssl/ssl.h>
#define TOML_HEADER_ONLY 0
#include <toml++/toml.h>
#if __has_include(<fmt/core.h>)
#include <fmt/core.h>
#define BEDS_HAS_FMT 1
#endif
#if __has_include(<spdlog/version.h>)
#include <spdlog/version.h>
#define BEDS_HAS_SPDLOG 1
#endif
#if __has_include(<CLI/Version.hpp>)
#include <CLI/Version.hpp>
#define BEDS_HAS_CLI11 1
#endif
#include "../support/catch.hpp"
#include "foreign.hpp"
#if !BEDS_SEES_RABBITMQC || !BEDS_SEES_TOML || !BEDS_SEES_BOOST || !BEDS_SEES_CATCH ||             \
    !BEDS_SEES_OPENSSL || (BEDS_HAS_FMT && !BEDS_SEES_FMT) ||                                      \
    (BEDS_HAS_MARIADB && !BEDS_SEES_MARIADB) || (BEDS_HAS_MONGODB && !BEDS_SEES_MONGODB) ||        \
    (BEDS_HAS_SPDLOG && !BEDS_SEES_SPDLOG) || (BEDS_HAS_CLI11 && !BEDS_SEES_CLI11) ||              \
    !BEDS_FOREIGN_HEADERS
#error "a macro by which foreign.hpp knows a library has changed"
#endif
