#include "common/mongodb.hpp"

#include "common/requests.hpp"

#include <beds/adapters/mongodb.hpp>

#include <mongoc/mongoc.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <functional>
#include <latch>
#include <stdexcept>
#include <string_view>
#include <thread>
#include <vector>

namespace beds::bench {
namespace {

constexpr std::string_view users_template = R"toml(
[template]
name = "users"
store = "rec"
object = "bench_users"
key = ["id"]
[fields]
id      = { type = "int64", required = true, column = "_id" }
email   = { type = "string", max = 64 }
status  = { type = "int32" }
balance = { type = "int64" }
created = { type = "datetime" }
)toml";

constexpr std::int64_t created = 1'769'860'800'000'000; // 2026-01-31T12:00:00Z, as BEDS stores it

template <auto Destroy>
struct destroyer {
    template <class T>
    void operator()(T* handle) const {
        Destroy(handle);
    }
};
using client = std::unique_ptr<mongoc_client_t, destroyer<mongoc_client_destroy>>;
using collection = std::unique_ptr<mongoc_collection_t, destroyer<mongoc_collection_destroy>>;

/// Not a std::unique_ptr: bson_t has an alignment that template arguments lose.
class bson {
public:
    explicit bson(bson_t* made) : made_(made) {}
    ~bson() { bson_destroy(made_); }
    bson(const bson&) = delete;
    bson& operator=(const bson&) = delete;
    [[nodiscard]] bson_t* get() const { return made_; }

private:
    bson_t* made_;
};

[[noreturn]] void fail(const bson_error_t& error) {
    throw std::runtime_error(std::string{"MongoDB: "} + error.message);
}

std::int64_t row_of(std::uint64_t operation) {
    return spread_row(operation, mongodb_rows);
}

std::string email_of(std::int64_t id) {
    return "u" + std::to_string(id) + "@example.org";
}

client connect(const std::string& uri) {
    client made{mongoc_client_new(uri.c_str())};
    if (made == nullptr) {
        throw std::runtime_error("BEDS_MONGODB_URI is not a connection string");
    }
    return made;
}

/// `work` in as many threads, each with a connection; it does what it is told for that many
/// operations from `first` on, and returns how many answers were wrong.
measurement in_sessions(const std::string& uri, const std::string& database, unsigned sessions,
                        std::uint64_t operations,
                        const std::function<std::uint64_t(mongoc_collection_t*, std::uint64_t first,
                                                          std::uint64_t count)>& work) {
    measurement result;
    std::vector<std::uint64_t> wrong(sessions);
    std::vector<std::exception_ptr> failures(sessions);
    std::vector<client> clients;
    for (unsigned i = 0; i < sessions; ++i) {
        clients.push_back(connect(uri));
    }
    std::latch ready{sessions + 1};
    std::vector<std::thread> threads;
    for (unsigned i = 0; i < sessions; ++i) {
        threads.emplace_back([&, i] {
            const collection users{
                mongoc_client_get_collection(clients[i].get(), database.c_str(), "bench_users")};
            bson_error_t error;
            const bson ping{BCON_NEW("ping", BCON_INT32(1))};
            const bool there = mongoc_client_command_simple(clients[i].get(), "admin", ping.get(),
                                                            nullptr, nullptr, &error);
            ready.arrive_and_wait();
            try {
                if (!there) {
                    fail(error);
                }
                const auto each = operations / sessions;
                wrong[i] = work(users.get(), i * each, each);
            } catch (...) {
                failures[i] = std::current_exception();
            }
        });
    }
    ready.arrive_and_wait();
    const auto begin = std::chrono::steady_clock::now();
    for (auto& one : threads) {
        one.join();
    }
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
    for (unsigned i = 0; i < sessions; ++i) {
        if (failures[i]) {
            std::rethrow_exception(failures[i]);
        }
        result.wrong += wrong[i];
    }
    result.first_wrong = "by hand";
    result.operations_per_second =
        static_cast<double>(operations / sessions * sessions) / took.count();
    return result;
}

std::int64_t integer(const bson_t* from, const char* name) {
    bson_iter_t at;
    return bson_iter_init_find(&at, from, name) ? bson_iter_as_int64(&at) : -1;
}

void append(std::string& out, std::int64_t number) {
    char digits[24];
    out.append(digits, std::to_chars(digits, digits + sizeof digits, number).ptr);
}

/// The document as BEDS writes it.
std::int64_t append_document(std::string& out, const bson_t* from) {
    bson_iter_t at;
    std::int64_t id = -1;
    bson_iter_init(&at, from);
    out.append(R"("status":"ok","effect":"none","rows":[{)");
    while (bson_iter_next(&at)) {
        const std::string_view name = bson_iter_key(&at);
        if (name == "_id") {
            id = bson_iter_as_int64(&at);
            append(out.append(R"("id":)"), id);
        } else if (name == "email") {
            std::uint32_t size = 0;
            const auto* text = bson_iter_utf8(&at, &size);
            out.append(R"(,"email":")").append(text, size).append("\"");
        } else if (name == "status") {
            append(out.append(R"(,"status":)"), bson_iter_as_int64(&at));
        } else if (name == "balance") {
            append(out.append(R"(,"balance":)"), bson_iter_as_int64(&at));
        } else if (name == "created") {
            const auto seconds = static_cast<std::time_t>(bson_iter_as_int64(&at) / 1'000'000);
            std::tm parts{};
            gmtime_r(&seconds, &parts);
            char text[40];
            const auto size = std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
            out.append(R"(,"created":")").append(text, size).append("\"");
        }
    }
    out.append("}]");
    return id;
}

} // namespace

struct mongodb_node::database {
    std::string uri;
    std::string name;
    client handle;
};

mongodb_node::mongodb_node(unsigned read_brokers, unsigned write_brokers)
    : database_(std::make_unique<database>()) {
    const char* uri = std::getenv("BEDS_MONGODB_URI");
    if (uri == nullptr) {
        std::puts("skipped: mongodb (BEDS_MONGODB_URI is not set)");
        const char* required = std::getenv("BEDS_REQUIRE_SERVERS");
        std::exit(required != nullptr && std::string_view{required} == "1" ? 1 : 77);
    }
    mongoc_init();
    mongoc_log_set_handler(nullptr, nullptr); // it tells of the stream that BEDS brings along
    auto& db = *database_;
    db.uri = uri;
    db.name =
        "beds_bench_" + std::to_string(std::chrono::system_clock::now().time_since_epoch().count());
    db.handle = connect(db.uri);
    const collection users{
        mongoc_client_get_collection(db.handle.get(), db.name.c_str(), "bench_users")};
    bson_error_t error;
    auto* rows = mongoc_collection_create_bulk_operation_with_opts(users.get(), nullptr);
    for (std::int64_t id = 1; id <= mongodb_rows; ++id) {
        const bson document{BCON_NEW("_id", BCON_INT64(id), "email",
                                     BCON_UTF8(email_of(id).c_str()), "status", BCON_INT32(1),
                                     "balance", BCON_INT64(100), "created", BCON_INT64(created))};
        mongoc_bulk_operation_insert(rows, document.get());
    }
    const auto inserted = mongoc_bulk_operation_execute(rows, nullptr, &error);
    mongoc_bulk_operation_destroy(rows);
    if (inserted == 0) {
        fail(error);
    }

    const auto rabbitmq = rabbitmq_from_environment();
    config::settings settings;
    settings.id.node = "bench";
    settings.templates.directory.clear();
    config::rec_service_settings rec;
    rec.uri = core::secret{db.uri};
    rec.database = db.name;
    settings.rec_services["rec"] = rec;
    config::broker_service_settings service;
    service.host = rabbitmq.host;
    service.port = static_cast<std::uint16_t>(rabbitmq.port);
    service.vhost = rabbitmq.vhost;
    service.user = rabbitmq.user;
    service.pass = core::secret{rabbitmq.password};
    tag_ = (db.name + "_").substr(0, 32);
    service.queue_tag = tag_;
    service.instances["rec"] = {read_brokers, write_brokers, 0};
    settings.broker_services["app_server"] = service;
    node_ = std::make_unique<node::node>(
        settings, observe::log_sink{observe::level::warning, [](const observe::log_record& record) {
                                        std::fprintf(stderr, "%.*s: %.*s\n",
                                                     static_cast<int>(record.source.size()),
                                                     record.source.data(),
                                                     static_cast<int>(record.text.size()),
                                                     record.text.data());
                                    }});
    node_->register_engine(templates::engine::rec,
                           [](const std::string& name, const config::settings& from) {
                               return adapters::make_mongodb(name, from.rec_services.at(name),
                                                             adapters::driver_init::by_host);
                           });
    node_->add_template(users_template, "users.toml");
    node_->start();
    if (!node_->wait_ready(core::deadline::after(std::chrono::seconds{15}))) {
        throw std::runtime_error("the node did not become ready");
    }
}

mongodb_node::~mongodb_node() {
    node_->stop(core::deadline::after(std::chrono::seconds{5}));
    node_.reset();
    const bson drop{BCON_NEW("dropDatabase", BCON_INT32(1))};
    mongoc_client_command_simple(database_->handle.get(), database_->name.c_str(), drop.get(),
                                 nullptr, nullptr, nullptr);
}

std::string mongodb_node::exchange() const {
    return tag_ + "beds.events";
}

std::int64_t mongodb_node::increments() const {
    const collection users{mongoc_client_get_collection(database_->handle.get(),
                                                        database_->name.c_str(), "bench_users")};
    const bson all{bson_new()};
    auto* cursor = mongoc_collection_find_with_opts(users.get(), all.get(), nullptr, nullptr);
    const bson_t* document = nullptr;
    std::int64_t sum = 0;
    while (mongoc_cursor_next(cursor, &document)) {
        sum += integer(document, "balance") - 100;
    }
    bson_error_t error;
    const bool failed = mongoc_cursor_error(cursor, &error);
    mongoc_cursor_destroy(cursor);
    if (failed) {
        fail(error);
    }
    return sum;
}

std::string mongodb_node::server() const {
    const bson command{BCON_NEW("buildInfo", BCON_INT32(1))};
    bson_t reply;
    bson_error_t error;
    std::string version;
    if (mongoc_client_command_simple(database_->handle.get(), "admin", command.get(), nullptr,
                                     &reply, &error)) {
        bson_iter_t at;
        if (bson_iter_init_find(&at, &reply, "version") && BSON_ITER_HOLDS_UTF8(&at)) {
            version = bson_iter_utf8(&at, nullptr);
        }
    }
    bson_destroy(&reply);
    return version;
}

void mongodb_node::print_batches() const {
    for (const auto& one : node_->status().brokers) {
        if (one.batches != 0) {
            std::fprintf(stderr, "  %s: %.1f operations a batch, largest %u\n", one.broker.c_str(),
                         static_cast<double>(one.operations) / static_cast<double>(one.batches),
                         one.largest_batch);
        }
    }
}

measurement mongodb_node::fetches_by_hand(unsigned sessions, std::uint64_t operations,
                                          std::size_t batch) const {
    return in_sessions(
        database_->uri, database_->name, sessions, operations,
        [batch](mongoc_collection_t* users, std::uint64_t first, std::uint64_t count) {
            struct place {
                std::int64_t id;
                std::size_t begin, size;
            };
            std::vector<place> found;
            std::string bytes;
            std::uint64_t wrong = 0;
            const bson options{BCON_NEW("batchSize", BCON_INT32(static_cast<int>(batch) + 1))};
            for (std::uint64_t done = 0; done < count; done += batch) {
                const auto size = std::min<std::uint64_t>(batch, count - done);
                const bson filter{bson_new()};
                bson_t in;
                bson_t keys;
                bson_append_document_begin(filter.get(), "_id", -1, &in);
                bson_append_array_begin(&in, "$in", -1, &keys);
                for (std::uint64_t i = 0; i < size; ++i) {
                    char buffer[16];
                    const char* name = nullptr;
                    const auto length = bson_uint32_to_string(static_cast<std::uint32_t>(i), &name,
                                                              buffer, sizeof buffer);
                    bson_append_int64(&keys, name, static_cast<int>(length),
                                      row_of(first + done + i));
                }
                bson_append_array_end(&in, &keys);
                bson_append_document_end(filter.get(), &in);
                auto* cursor =
                    mongoc_collection_find_with_opts(users, filter.get(), options.get(), nullptr);
                const bson_t* document = nullptr;
                bytes.clear();
                found.clear();
                while (mongoc_cursor_next(cursor, &document)) {
                    const auto begin = bytes.size();
                    const auto id = append_document(bytes, document);
                    found.push_back({id, begin, bytes.size() - begin});
                }
                bson_error_t error;
                const bool failed = mongoc_cursor_error(cursor, &error);
                mongoc_cursor_destroy(cursor);
                if (failed) {
                    fail(error);
                }
                std::sort(found.begin(), found.end(),
                          [](const place& a, const place& b) { return a.id < b.id; });
                for (std::uint64_t i = 0; i < size; ++i) {
                    const auto id = row_of(first + done + i);
                    const auto row = std::lower_bound(
                        found.begin(), found.end(), id,
                        [](const place& a, std::int64_t wanted) { return a.id < wanted; });
                    const bool right = row != found.end() && row->id == id &&
                                       std::string_view{bytes}.substr(row->begin, row->size) ==
                                           expected_document(id);
                    wrong += right ? 0 : 1;
                }
            }
            return wrong;
        });
}

measurement mongodb_node::updates_by_hand(unsigned sessions, std::uint64_t operations,
                                          std::size_t batch) const {
    static std::atomic<unsigned> run{0};
    const auto own = "floor" + std::to_string(++run) + "/"; // ids are used once
    return in_sessions(
        database_->uri, database_->name, sessions, operations,
        [this, batch, own](mongoc_collection_t* users, std::uint64_t first, std::uint64_t count) {
            const client session = connect(database_->uri);
            const collection inbox{mongoc_client_get_collection(
                session.get(), database_->name.c_str(), "bench_inbox")};
            std::uint64_t wrong = 0;
            const bson options{BCON_NEW("ordered", BCON_BOOL(false), "writeConcern", "{", "w",
                                        BCON_UTF8("majority"), "j", BCON_BOOL(true), "}")};
            constexpr std::string_view reply = R"("status":"ok","effect":"applied","count":1)";
            constexpr std::array<std::uint8_t, 16> content{};
            std::vector<bson_oid_t> tokens(batch);
            std::vector<std::string> names(batch);
            const auto bytes = [](std::string_view text) {
                return reinterpret_cast<const std::uint8_t*>(text.data());
            };
            const auto id_of = [&](bson_t* into, std::uint64_t i) {
                bson_t id;
                bson_append_document_begin(into, "_id", 3, &id);
                bson_append_utf8(&id, "p", 1, "bench", 5);
                bson_append_binary(&id, "i", 1, BSON_SUBTYPE_BINARY, bytes(names[i]),
                                   static_cast<std::uint32_t>(names[i].size()));
                bson_append_document_end(into, &id);
            };
            const auto in_bulk = [&](mongoc_collection_t* where, std::uint64_t size,
                                     const char* counted, auto add) {
                auto* bulk =
                    mongoc_collection_create_bulk_operation_with_opts(where, options.get());
                bson_error_t error;
                bool good = true;
                for (std::uint64_t i = 0; i < size && good; ++i) {
                    good = add(bulk, i, error);
                }
                bson_t answer;
                bson_init(&answer);
                if (good) {
                    bson_destroy(&answer);
                    good = mongoc_bulk_operation_execute(bulk, &answer, &error) != 0;
                }
                const auto done = integer(&answer, counted);
                bson_destroy(&answer);
                mongoc_bulk_operation_destroy(bulk);
                if (!good) {
                    fail(error);
                }
                wrong += size - static_cast<std::uint64_t>(std::max<std::int64_t>(done, 0));
            };
            for (std::uint64_t done = 0; done < count; done += batch) {
                const auto size = std::min<std::uint64_t>(batch, count - done);
                const auto now = std::chrono::duration_cast<std::chrono::milliseconds>(
                                     std::chrono::system_clock::now().time_since_epoch())
                                     .count();
                // The intents, the effects with the rings, the replies: the evidence of BEDS.
                in_bulk(inbox.get(), size, "nInserted",
                        [&](auto* bulk, auto i, bson_error_t& error) {
                            bson_oid_init(&tokens[i], nullptr);
                            names[i] = own + std::to_string(first + done + i);
                            const bson intent{bson_new()};
                            id_of(intent.get(), i);
                            bson_append_binary(intent.get(), "c", 1, BSON_SUBTYPE_BINARY,
                                               content.data(), content.size());
                            bson_append_oid(intent.get(), "k", 1, &tokens[i]);
                            bson_append_date_time(intent.get(), "t", 1, now);
                            return mongoc_bulk_operation_insert_with_opts(bulk, intent.get(),
                                                                          nullptr, &error);
                        });
                in_bulk(users, size, "nMatched", [&](auto* bulk, auto i, bson_error_t& error) {
                    const bson filter{BCON_NEW("_id", BCON_INT64(row_of(first + done + i)), "_beds",
                                               "{", "$ne", BCON_OID(&tokens[i]), "}")};
                    const bson change{BCON_NEW("$inc", "{", "balance", BCON_INT64(1), "}", "$push",
                                               "{", "_beds", "{", "$each", "[",
                                               BCON_OID(&tokens[i]), "]", "$slice", BCON_INT32(-16),
                                               "}", "}")};
                    return mongoc_bulk_operation_update_one_with_opts(
                        bulk, filter.get(), change.get(), nullptr, &error);
                });
                in_bulk(inbox.get(), size, "nMatched",
                        [&](auto* bulk, auto i, bson_error_t& error) {
                            const bson filter{bson_new()};
                            id_of(filter.get(), i);
                            const bson change{
                                BCON_NEW("$push", "{", "e", "{", "k", BCON_OID(&tokens[i]), "r",
                                         BCON_BIN(BSON_SUBTYPE_BINARY, bytes(reply),
                                                  static_cast<std::uint32_t>(reply.size())),
                                         "}", "}")};
                            return mongoc_bulk_operation_update_one_with_opts(
                                bulk, filter.get(), change.get(), nullptr, &error);
                        });
            }
            return wrong;
        });
}

std::string expected_document(std::int64_t id) {
    return R"("status":"ok","effect":"none","rows":[{"id":)" + std::to_string(id) +
           R"(,"email":")" + email_of(id) +
           R"(","status":1,"balance":100,"created":"2026-01-31T12:00:00Z"}])";
}

} // namespace beds::bench
