#pragma once

/// Everything that a program which calls BEDS or embeds it may need. Left out are
/// `client/async.hpp`, because it includes Boost.Asio, and the suites in `testing/`.

#include <beds/adapters/adapter.hpp>
#include <beds/adapters/memory.hpp>
#include <beds/client/amqp_client.hpp>
#include <beds/client/client.hpp>
#include <beds/client/local_client.hpp>
#include <beds/config/load.hpp>
#include <beds/config/settings.hpp>
#include <beds/core/deadline.hpp>
#include <beds/core/error.hpp>
#include <beds/core/outcome.hpp>
#include <beds/core/secret.hpp>
#include <beds/fwd.hpp>
#include <beds/node/node.hpp>
#include <beds/observe/counters.hpp>
#include <beds/observe/log.hpp>
#include <beds/templates/registry.hpp>

// Installed when they were built.
#if __has_include(<beds/admin/server.hpp>)
#include <beds/admin/pages.hpp>
#include <beds/admin/server.hpp>
#endif
#if __has_include(<beds/adapters/mariadb.hpp>)
#include <beds/adapters/mariadb.hpp>
#endif
#if __has_include(<beds/adapters/mongodb.hpp>)
#include <beds/adapters/mongodb.hpp>
#endif
