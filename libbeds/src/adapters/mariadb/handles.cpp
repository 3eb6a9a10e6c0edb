#include "adapters/mariadb/handles.hpp"

#include <mutex>

namespace beds::adapters::mariadb {

void enter_thread() {
    static std::once_flag once;
    std::call_once(once, [] { mysql_server_init(0, nullptr, nullptr); });
    struct visit {
        visit() { mysql_thread_init(); }
        ~visit() { mysql_thread_end(); }
        visit(const visit&) = delete;
        visit& operator=(const visit&) = delete;
    };
    thread_local const visit here;
}

unsigned long client_version() {
    std::size_t version = 0;
    if (mariadb_get_infov(nullptr, MARIADB_CLIENT_VERSION_ID, &version) != 0) {
        return 0;
    }
    return static_cast<unsigned long>(version);
}

bool known_bad_client(unsigned long version) {
    constexpr unsigned long first_good = 30304;
    return version < first_good;
}

} // namespace beds::adapters::mariadb
