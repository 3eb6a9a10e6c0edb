// One macro for each library that public headers must not include; not guarded, it looks at what
// came before.
#if defined(AMQP_VERSION)
#define BEDS_SEES_RABBITMQC 1
#endif
#if defined(MYSQL_ERRMSG_SIZE)
#define BEDS_SEES_MARIADB 1
#endif
#if defined(MONGOC_MAJOR_VERSION) || defined(BSON_MAJOR_VERSION)
#define BEDS_SEES_MONGODB 1
#endif
#if defined(FMT_VERSION)
#define BEDS_SEES_FMT 1
#endif
#if defined(TOML_LIB_MAJOR)
#define BEDS_SEES_TOML 1
#endif
#if defined(BOOST_VERSION) || defined(BOOST_CONFIG_HPP)
#define BEDS_SEES_BOOST 1
#endif
#if defined(SPDLOG_VER_MAJOR)
#define BEDS_SEES_SPDLOG 1
#endif
#if defined(CLI11_VERSION)
#define BEDS_SEES_CLI11 1
#endif
#if defined(CATCH_VERSION_MAJOR)
#define BEDS_SEES_CATCH 1
#endif
#if defined(OPENSSL_VERSION_MAJOR)
#define BEDS_SEES_OPENSSL 1
#endif

#if BEDS_SEES_RABBITMQC || BEDS_SEES_MARIADB || BEDS_SEES_MONGODB || BEDS_SEES_FMT ||              \
    BEDS_SEES_TOML || (BEDS_SEES_BOOST && !BEDS_MAY_USE_BOOST) || BEDS_SEES_SPDLOG ||              \
    BEDS_SEES_CLI11 || BEDS_SEES_CATCH || BEDS_SEES_OPENSSL
#define BEDS_FOREIGN_HEADERS 1
#endif
