#pragma once

#include <beds/client/reply.hpp>
#include <beds/client/request.hpp>
#include <beds/core/operation.hpp>

#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace beds::client {

/// What may share an envelope. A view.
struct template_group {
    bool known = false; ///< else `name` is the template's own
    std::string_view name;

    friend bool operator==(const template_group&, const template_group&) = default;
};

/// What a client knows of the templates: only what routing needs. Nodes refuse what is routed
/// wrongly, so what is not known here costs a detour and never a wrong answer.
class known_templates {
public:
    /// From the reply to a `describe` of all templates; one that is no such reply changes nothing.
    void learn(const reply& from);
    /// They moved: everything has to be asked again.
    void forget();
    /// Nobody will tell: works with what every template has.
    void do_without() { learned_ = true; }
    [[nodiscard]] bool learned() const { return learned_; }

    /// Class whose queue takes the operation; nullopt: the catalog has to be asked first.
    [[nodiscard]] std::optional<core::op_class> class_of(const operation& op) const;
    /// Templates of one group may share an envelope; one that is not known is a group of its own.
    [[nodiscard]] template_group group_of(std::string_view template_name) const;

private:
    struct known {
        std::string group;
        std::map<std::string, core::op_class, std::less<>> calls;
    };
    std::map<std::string, known, std::less<>> templates_;
    bool learned_ = false;
};

} // namespace beds::client
