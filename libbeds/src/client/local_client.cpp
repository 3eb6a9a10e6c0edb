#include "client/outstanding.hpp"

#include <beds/client/local_client.hpp>
#include <beds/core/error.hpp>
#include <beds/core/supervisor.hpp>
#include <beds/wire/reply.hpp>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <thread>

namespace beds::client {
namespace {

using core::code;
using core::outcome;

class local_client final : public client {
public:
    local_client(std::shared_ptr<const templates::registry> registry,
                 std::vector<std::shared_ptr<adapters::adapter>> adapters,
                 local_client_settings settings)
        : given_(std::move(settings)), registry_(std::move(registry)),
          adapters_(std::move(adapters)), waiting_(given_.max_outstanding) {
        if (adapters_.empty() || given_.workers == 0 || given_.max_batch == 0) {
            throw core::error(core::errc::invalid_configuration,
                              "a local client needs an adapter, a worker and room for a batch");
        }
        for (unsigned i = 0; i < given_.workers; ++i) {
            workers_.emplace_back([this, i] { run(i); });
        }
    }

    ~local_client() override {
        {
            const std::lock_guard lock{mutex_};
            stopping_ = true;
        }
        changed_.notify_all();
        for (auto& worker : workers_) {
            worker.join();
        }
    }
    local_client(const local_client&) = delete;
    local_client& operator=(const local_client&) = delete;

    void submit(request what, core::deadline until, completion done) override {
        const bool writes =
            std::any_of(what.operations.begin(), what.operations.end(), [](const operation& op) {
                return op.op == core::verb::insert || op.op == core::verb::update ||
                       op.op == core::verb::remove || op.op == core::verb::call;
            });
        if (writes && what.id.empty()) {
            what.id = new_uuid();
        }
        job made;
        made.what = std::make_shared<const request>(std::move(what));
        made.until = until;
        if (made.what->operations.empty()) {
            done(make_reply(*made.what, outcome::failure(code::invalid_envelope,
                                                         "the request holds no operation")));
            return;
        }
        const auto number = waiting_.add(made.what, until, writes, std::move(done));
        if (!number) {
            return;
        }
        made.number = *number;
        {
            const std::lock_guard lock{mutex_};
            jobs_.push_back(std::move(made));
        }
        changed_.notify_one();
    }

    bool wait_ready(core::deadline) override { return true; }

private:
    struct job {
        std::uint64_t number = 0;
        std::shared_ptr<const request> what;
        core::deadline until = core::deadline::never();
    };

    /// The connection of a request's first template; what is unknown goes to any.
    const std::string& connection_of(const job& one) const {
        const auto* target = registry_->find(one.what->operations.front().template_name);
        if (target != nullptr) {
            for (const auto& adapter : adapters_) {
                if (adapter->connection_name() == target->connection) {
                    return adapter->connection_name();
                }
            }
        }
        return adapters_.front()->connection_name();
    }

    void run(unsigned number) {
        std::map<std::string, factory::factory> factories;
        std::vector<job> taken;
        std::vector<job> own;
        wire::reply_writer writer{{}, given_.factory.cursors};
        core::arena memory;
        observe::live_counters counters;
        for (;;) {
            taken.clear();
            {
                std::unique_lock lock{mutex_};
                changed_.wait(lock, [&] { return stopping_ || !jobs_.empty(); });
                if (stopping_) {
                    return;
                }
                std::size_t operations = 0;
                while (!jobs_.empty() && operations < given_.max_batch) {
                    operations += jobs_.front().what->operations.size();
                    taken.push_back(std::move(jobs_.front()));
                    jobs_.pop_front();
                }
            }
            while (!taken.empty()) {
                const auto connection = connection_of(taken.front());
                own.clear();
                const auto others =
                    std::stable_partition(taken.begin(), taken.end(), [&](const job& one) {
                        return connection_of(one) != connection;
                    });
                own.insert(own.end(), std::make_move_iterator(others),
                           std::make_move_iterator(taken.end()));
                taken.erase(others, taken.end());
                try {
                    work(own, factory_for(factories, connection, number), writer, memory, counters);
                } catch (const std::exception& failed) { // out of memory, a reply beyond bounds
                    given_.log.write(observe::level::error, "BEDS_LOCAL_CLIENT_FAILED", connection,
                                     failed.what());
                    for (const auto& one : own) {
                        waiting_.fail(one.number);
                    }
                }
            }
        }
    }

    factory::factory& factory_for(std::map<std::string, factory::factory>& factories,
                                  const std::string& connection, unsigned number) {
        const auto found = factories.find(connection);
        if (found != factories.end()) {
            return found->second;
        }
        adapters::session_context context;
        context.name = "local " + connection + "/" + std::to_string(number);
        context.supervisor = &supervisor_;
        context.log = given_.log;
        return factories
            .emplace(connection, factory::factory{registry_, adapters_, connection,
                                                  std::move(context), given_.factory})
            .first->second;
    }

    void work(std::span<const job> jobs, factory::factory& through, wire::reply_writer& writer,
              core::arena& memory, observe::live_counters& counters) {
        memory.reset();
        std::vector<factory::message> batch;
        for (const auto& one : jobs) {
            auto& message = batch.emplace_back();
            message.request = view(*one.what, memory);
            message.request.principal = given_.principal;
            message.request.service = true; // the process that works
            message.source = factory::source::process;
            message.request.deadline = time_of_day(one.until);
            waiting_.mark_sent(one.number);
        }
        writer.start(factory::factory::count(batch));
        through.run(batch, writer, memory, counters);
        for (std::size_t i = 0; i < jobs.size(); ++i) {
            std::string body;
            writer.append_reply(body, {}, batch[i].request.enveloped, batch[i].first,
                                batch[i].results);
            waiting_.finish(jobs[i].number, reply{std::move(body), jobs[i].what->id});
        }
    }

    local_client_settings given_;
    std::shared_ptr<const templates::registry> registry_;
    std::vector<std::shared_ptr<adapters::adapter>> adapters_;
    core::supervisor supervisor_;
    outstanding waiting_;
    std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<job> jobs_;
    bool stopping_ = false;
    std::vector<std::thread> workers_; // last: they use everything above
};

} // namespace

std::unique_ptr<client> make_local_client(std::shared_ptr<const templates::registry> registry,
                                          std::vector<std::shared_ptr<adapters::adapter>> adapters,
                                          local_client_settings settings) {
    return std::make_unique<local_client>(std::move(registry), std::move(adapters),
                                          std::move(settings));
}

} // namespace beds::client
