#include "core/failpoint.hpp"
#include "factory/impl.hpp"

#include <algorithm>
#include <random>

namespace beds::factory {

factory::impl::impl(std::shared_ptr<const template_set> set_given,
                    std::vector<std::shared_ptr<adapters::adapter>> adapters_given,
                    std::string connection_given, adapters::session_context context_given,
                    settings options, const core::clock& clock_given)
    : set(std::move(set_given)), registry(set->registry), adapters(std::move(adapters_given)),
      connection(std::move(connection_given)), context(std::move(context_given)),
      given(std::move(options)), clock(clock_given), bind(registry->all(), given.cursors),
      retry(std::random_device{}()) {
    for (const auto& one : adapters) {
        if (one->connection_name() == connection) {
            adapter = one.get();
        }
    }
    if (adapter == nullptr) {
        throw core::error(core::errc::unknown_name,
                          "no adapter serves the connection '" + connection + "'");
    }
    can = adapter->can();
    context.writes = given.highest_class != core::op_class::read;
    served = served_since(0);
    make_customs();
}

bool factory::impl::ensure_session(core::deadline until) {
    if (session != nullptr && session->usable()) {
        return true;
    }
    const auto now = clock.steady_now();
    if (!retry.may_try(now)) {
        return false;
    }
    try {
        if (session == nullptr) {
            session = adapter->open_session(context);
        }
        session->connect(until.earlier(core::deadline::at(now + given.connect_timeout)));
        if (!look_at(served, now, until)) {
            return false;
        }
        ++connects;
        retry.succeeded();
        if (!last_error.empty()) {
            last_error.clear();
            context.log.write(observe::level::info, "BEDS_BACKEND_CONNECTED", context.name,
                              "connected to '" + connection + "' again");
        }
        return true;
    } catch (const core::error& failed) {
        note_failure(failed.message() + (failed.server_message().empty()
                                             ? std::string{}
                                             : ": " + failed.server_message()));
    } catch (const std::exception& failed) {
        note_failure(failed.what());
    }
    return false;
}

bool factory::impl::look_at(std::span<const templates::template_def* const> targets,
                            core::steady_time now, core::deadline until) {
    constexpr std::chrono::milliseconds each{50};
    adapter->inspect(
        *session, targets,
        until.earlier(core::deadline::at(now + 4 * given.connect_timeout + targets.size() * each)));
    if (!session->usable()) {
        note_failure("the connection broke while the templates were looked at");
        return false;
    }
    can = adapter->can();
    return true;
}

void factory::impl::note_failure(std::string text) {
    retry.failed(clock.steady_now());
    if (text != last_error) { // once, not with every attempt
        last_error = std::move(text);
        context.log.write(observe::level::warning, "BEDS_BACKEND_UNREACHABLE", context.name,
                          "cannot use '" + connection + "': " + last_error);
    }
}

std::uint64_t factory::impl::since(const templates::template_def& target) const {
    return set->since.empty()
               ? 0
               : set->since[static_cast<std::size_t>(&target - registry->all().data())];
}

std::vector<const templates::template_def*>
factory::impl::served_since(std::uint64_t generation) const {
    std::vector<const templates::template_def*> made;
    for (const auto& target : registry->all()) {
        if (target.connection == connection && since(target) >= generation) {
            made.push_back(&target);
        }
    }
    return made;
}

void factory::impl::change_templates(std::shared_ptr<const template_set> next) {
    const auto seen = set->generation;
    // What lives from batch to batch and points at templates: `bind`, `served`, the session.
    if (session != nullptr) {
        session->forget_templates();
    }
    descriptions.clear();
    const auto before = std::exchange(set, std::move(next)); // until the end of this function
    registry = set->registry;
    bind = binder{registry->all(), given.cursors};
    served = served_since(0);
    make_customs();
    const auto news = served_since(seen + 1);
    if (news.empty() || session == nullptr || !session->usable()) {
        return; // a new session looks at all of them
    }
    try {
        look_at(news, clock.steady_now(), core::deadline::never());
    } catch (const std::exception& failed) { // what could not be seen is asked for again
        note_failure(failed.what());
    }
}

bool factory::impl::has_changed(std::string_view name) const {
    if (set->generation == 0) {
        return false;
    }
    const auto* target = registry->find(name);
    return target != nullptr ? since(*target) > 0 : set->removed.contains(name);
}

void factory::impl::run(std::span<message> given_batch, core::result_sink& results_sink,
                        core::arena& batch_memory, observe::live_counters& live_counters) {
    batch = given_batch;
    sink = &results_sink;
    memory = &batch_memory;
    counters = &live_counters;
    const auto total = count(batch);
    results_and_own = memory->make_span<outcome>(total + 1);
    results = results_and_own.first(total);
    stages = memory->make_span<stage>(total);
    doubts = memory->make_span<doubt>(total);
    sealed = memory->make_span<std::uint8_t>(total);
    stopped = memory->make_span<std::uint8_t>(batch.size());
    held_from = memory->make_span<std::uint32_t>(batch.size());
    aside.clear();
    apart = false;
    all.clear();
    repeats.clear();
    later.clear();
    descriptions.clear();
    bind.trim();
    core::op_index first = 0;
    for (auto& one : batch) {
        one.first = first;
        one.results = results.subspan(first, one.request.operations.size());
        first += static_cast<core::op_index>(one.request.operations.size());
    }

    bind_all();
    set_repeats_aside();
    BEDS_FAILPOINT(after_validate);
    run_planned(false);
    do {
        answer_repeats();
        run_later();
    } while (!repeats.empty());
    tally();
}

void factory::impl::run_planned(bool again) {
    plan(all, *memory);
    std::uint32_t last_unit = 0;
    for (const auto* op : all) {
        last_unit = std::max(last_unit, op->unit);
    }
    for (std::uint32_t unit = 0; unit <= last_unit && !all.empty(); ++unit) {
        if (unit % 2 == 0) {
            run_unit(unit, again);
            continue;
        }
        for (auto* op : all) {
            if (op->unit == unit && stages[op->bound.index] == stage::open) {
                run_alone(*op);
            }
        }
    }
}

void factory::impl::run_later() {
    for (std::size_t i = 0; i < later.size();) {
        all.clear();
        for (const auto message = later[i]->message;
             i < later.size() && later[i]->message == message; ++i) {
            later[i]->unit = later[i]->wave = 0;
            all.push_back(later[i]);
        }
        run_planned(true);
    }
    later.clear();
}

void factory::impl::tally() {
    std::uint64_t ok = 0;
    std::uint64_t unknown = 0;
    for (const auto& result : results) {
        ok += result.ok() ? 1U : 0U;
        unknown += result.effect == effect::unknown ? 1U : 0U;
    }
    live::add(counters->operations, results.size());
    live::add(counters->batches);
    counters->batch_operations.add(results.size());
    live::add(counters->ok, ok);
    live::add(counters->errors, results.size() - ok);
    live::add(counters->unknown, unknown);
    counters->backend_connects.store(given.connects_before + connects, std::memory_order_relaxed);
    counters->backend_connected.store(session != nullptr && session->usable(),
                                      std::memory_order_relaxed);
    if (results.size() > counters->largest_batch.load(std::memory_order_relaxed)) {
        counters->largest_batch.store(static_cast<std::uint32_t>(results.size()),
                                      std::memory_order_relaxed);
    }
}

withheld_templates::withheld_templates(std::shared_ptr<const templates::registry> of)
    : of_(std::move(of)), flags_(of_->all().size()) {}

void withheld_templates::set(std::string_view name, bool withheld) {
    if (const auto* target = of_->find(name)) {
        flags_[static_cast<std::size_t>(target - of_->all().data())] = withheld;
    }
}

factory::factory(std::shared_ptr<const templates::registry> registry,
                 std::vector<std::shared_ptr<adapters::adapter>> adapters, std::string connection,
                 adapters::session_context context, settings given, const core::clock& clock)
    : factory(std::make_shared<const template_set>(template_set{.registry = std::move(registry)}),
              std::move(adapters), std::move(connection), std::move(context), std::move(given),
              clock) {}
factory::factory(std::shared_ptr<const template_set> set,
                 std::vector<std::shared_ptr<adapters::adapter>> adapters, std::string connection,
                 adapters::session_context context, settings given, const core::clock& clock)
    : impl_(std::make_unique<impl>(std::move(set), std::move(adapters), std::move(connection),
                                   std::move(context), std::move(given), clock)) {}
factory::~factory() = default;
factory::factory(factory&&) noexcept = default;
factory& factory::operator=(factory&&) noexcept = default;

void factory::change_templates(std::shared_ptr<const template_set> set) {
    impl_->change_templates(std::move(set));
}

std::size_t factory::count(std::span<const message> batch) {
    std::size_t total = 0;
    for (const auto& one : batch) {
        total += one.request.operations.size();
    }
    return total;
}

void factory::run(std::span<message> batch, core::result_sink& results, core::arena& memory,
                  observe::live_counters& counters) {
    impl_->run(batch, results, memory, counters);
}

bool factory::ensure_session(core::deadline until) {
    return impl_->ensure_session(until);
}

void factory::idle(core::deadline until) {
    if (impl_->session != nullptr && impl_->session->usable()) {
        impl_->session->alive(until);
    }
    impl_->ensure_session(core::deadline::never()); // bounds itself
}

bool factory::connected() const {
    return impl_->session != nullptr && impl_->session->usable();
}

std::uint64_t factory::connects() const {
    return impl_->given.connects_before + impl_->connects;
}

const std::string& factory::write_trouble() const {
    static const std::string none;
    return connected() && impl_->context.writes ? impl_->session->trouble().text : none;
}

const std::string& factory::last_error() const {
    return impl_->last_error;
}

} // namespace beds::factory
