#include "contract/report.hpp"

#include <beds/adapters/memory.hpp>
#include <beds/testing/make.hpp>

#include <memory>

using namespace beds;

namespace {

core::outcome transfer(adapters::memory_call& call) {
    const auto& accounts = call.target();
    const auto from = call.args()[0];
    const auto to = call.args()[1];
    auto minus = call.args()[2];
    minus.text = call.memory().copy(std::string_view{"-" + std::string{minus.text}});
    const adapters::assignment add{2, call.args()[2]};
    const adapters::assignment subtract{2, minus};
    // Half of it is done before the refusal, which must undo it.
    if (!call.update(accounts, {&to, 1}, {}, {&add, 1}).ok() ||
        !call.update(accounts, {&from, 1}, {}, {&subtract, 1}).ok()) {
        return call.reject("NO_ACCOUNT");
    }
    const auto left = call.fetch(accounts, {&from, 1})[2];
    if (left.text.starts_with('-')) {
        return call.reject("INSUFFICIENT_FUNDS");
    }
    call.out({&left, 1});
    return {};
}

core::outcome statement(adapters::memory_call& call) {
    std::int64_t accounts = 0;
    call.scan(call.target(), [&](auto) {
        ++accounts;
        return true;
    });
    const auto row = call.fetch(call.target(), call.args());
    const core::value summary[] = {core::value::of_int(accounts),
                                   row.empty() ? core::value::of_null() : row[2]};
    call.begin_set(0);
    call.row(summary);
    call.begin_set(1);
    call.scan(call.target(), [&](std::span<const core::value> each) {
        if (core::less(call.args()[0], each[0])) {
            call.row(each.first(2));
        }
        return true;
    });
    return {};
}

core::outcome echo(adapters::memory_call& call) {
    call.out(call.args());
    return {};
}

class memory_fixture final : public testing::conformance_fixture {
public:
    [[nodiscard]] adapters::adapter& adapter() override { return *adapter_; }
    [[nodiscard]] templates::engine store() const override { return templates::engine::rel; }

    void prepare(const templates::template_def& target) override {
        REQUIRE(adapter_->check(target).empty());
        // Tables make themselves; emptying one is a delete of all rows.
        const auto session = adapter_->open_session({});
        session->connect(core::deadline::never());
        testing::operations ops;
        ops.remove(target);
        core::arena memory;
        std::vector<adapters::stored_reply> known;
        std::vector<core::outcome> outcomes(1);
        testing::recording_sink sink;
        session->begin(adapters::work_kind::write, core::deadline::never(), {},
                       adapters::lookup::none, memory, known);
        session->run(ops.group(), sink, outcomes, memory);
        session->commit();
        REQUIRE(outcomes[0].ok());
    }
    bool prepare_calls(const templates::template_def&) override { return true; }

private:
    static adapters::memory_settings settings() {
        adapters::memory_settings made;
        made.calls["conf_transfer"] = transfer;
        made.calls["conf_statement"] = statement;
        made.calls["conf_echo"] = echo;
        return made;
    }
    std::shared_ptr<adapters::adapter> adapter_ = adapters::make_memory("rel", settings());
};

} // namespace

TEST_CASE("the memory engine keeps the contract of adapters") {
    memory_fixture fixture;
    tests::run_and_report(fixture);
}
