#include "sched/prefix_tree.h"

#include <algorithm>

#include "base/check.h"

namespace hearth::sched {

bool PrefixTree::Node::Less::operator()(const Edge& a, const Edge& b) const {
  if (a.salt != b.salt) return a.salt < b.salt;
  return std::lexicographical_compare(a.tokens.begin(), a.tokens.end(), b.tokens.begin(), b.tokens.end());
}

PrefixTree::~PrefixTree() {
  while (evict()) {
  }
  CHECK(root_.children_.empty());
}

PrefixTree::Node* PrefixTree::descend(Node* node, const Edge& edge) {
  const auto found = node->children_.find(edge);
  if (found == node->children_.end()) return nullptr;
  hold(found->second.get());
  return found->second.get();
}

PrefixTree::Node* PrefixTree::insert(Node* node, const Edge& edge, Page page) {
  if (Node* known = descend(node, edge)) {
    pool_.give_back(page);
    return known;
  }
  const auto [entry, added] =
      node->children_.emplace(Node::Key{{edge.tokens.begin(), edge.tokens.end()}, edge.salt}, std::make_unique<Node>());
  CHECK(added);
  Node* child = entry->second.get();
  child->parent_ = node;
  child->page_ = page;
  child->depth_ = node->depth_ + 1;
  child->holders_ = 1;
  child->in_parent_ = entry;
  return child;
}

void PrefixTree::hold(Node* node) {
  if (node->holders_++ == 0) idle_.erase(node->in_idle_);
}

void PrefixTree::release(Node* node) {
  for (; node != &root_; node = node->parent_) {
    CHECK(node->holders_ > 0);
    if (--node->holders_ == 0) node->in_idle_ = idle_.insert(idle_.end(), node);
  }
}

bool PrefixTree::evict() {
  if (idle_.empty()) return false;
  remove(idle_.front());
  return true;
}

void PrefixTree::remove(Node* node) {
  CHECK(node->holders_ == 0 && node->children_.empty());
  idle_.erase(node->in_idle_);
  pool_.give_back(node->page_);
  node->parent_->children_.erase(node->in_parent_);
}

void PrefixTree::forget(Node* node) {
  Node* top = nullptr;
  for (; node != &root_; node = node->parent_)
    if (node->holders_ == 0) top = node;
  if (top == nullptr) return;
  std::vector<Node*> below{top};  // parents before children
  for (size_t i = 0; i < below.size(); ++i)
    for (const auto& [edge, child] : below[i]->children_) below.push_back(child.get());
  for (size_t i = below.size(); i-- > 0;) remove(below[i]);
}

std::vector<const PrefixTree::Node*> PrefixTree::nodes() const {
  std::vector<const Node*> nodes{&root_};
  for (size_t i = 0; i < nodes.size(); ++i) {
    for (const auto& [edge, child] : nodes[i]->children_) nodes.push_back(child.get());
  }
  nodes.erase(nodes.begin());
  return nodes;
}

}  // namespace hearth::sched
