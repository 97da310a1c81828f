// The computed prefixes that later sequences can reuse: a tree in which every node is one full page and
// the tokens that it holds; the path from the root spells the whole prefix. (The idea is RadixAttention's,
// arXiv 2312.07104, with whole pages as edges.)
//
// The tree owns its pages and counts who uses them: a sequence holds a node and with it all ancestors. A
// node that nobody holds stays, as a cache, until evict() takes its page. Since a held node's ancestors
// are held too and release() goes from the leaf upward, the node released longest ago is always a leaf.
#pragma once

#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <span>
#include <vector>

#include "sched/page_pool.h"

namespace hearth::sched {

using Token = int32_t;

class PrefixTree {
 public:
  // What leads from a node to a child: one page full of tokens. Those of different salts (users who must not share,
  // adapters, images) never meet.
  struct Edge {
    std::span<const Token> tokens;
    uint64_t salt = 0;
  };

  class Node {
   public:
    Page page() const { return page_; }
    uint32_t depth() const { return depth_; }  // pages from the root to here; the root's is 0
    uint32_t holders() const { return holders_; }
    const Node* parent() const { return parent_; }  // null: this is the root

   private:
    friend class PrefixTree;
    struct Key {
      std::vector<Token> tokens;
      uint64_t salt;
      operator Edge() const { return {tokens, salt}; }
    };
    struct Less {
      using is_transparent = void;
      bool operator()(const Edge& a, const Edge& b) const;
    };
    using Children = std::map<Key, std::unique_ptr<Node>, Less>;
    Node* parent_ = nullptr;
    Page page_ = -1;
    uint32_t depth_ = 0, holders_ = 0;
    Children children_;
    Children::iterator in_parent_;
    std::list<Node*>::iterator in_idle_;  // valid while nobody holds this node
  };

  explicit PrefixTree(PagePool& pool) : pool_(pool) {}
  ~PrefixTree();  // nobody may hold a node any more
  PrefixTree(const PrefixTree&) = delete;
  PrefixTree& operator=(const PrefixTree&) = delete;

  Node* root() { return &root_; }

  // Extends the caller's hold from `node` to that child. Null, and no change, if there is none.
  Node* descend(Node* node, const Edge& edge);

  // Adds the caller's `page`, full of the edge's tokens, below `node` and extends the caller's hold to it. The page
  // is the tree's from now on. If the tree knows this edge already, `page` goes back to the pool: use
  // the page of the node returned.
  Node* insert(Node* node, const Edge& edge, Page page);

  // Ends the caller's hold on `node` and on all its ancestors.
  void release(Node* node);

  // Gives back the pages of `node` and its ancestors that nobody holds, and of all that follow them.
  void forget(Node* node);

  // Gives the page used least recently, of those that nobody holds, back to the pool. False: none.
  bool evict();
  uint32_t evictable() const { return static_cast<uint32_t>(idle_.size()); }

  std::vector<const Node*> nodes() const;  // all but the root, parents before children; for checks

 private:
  void hold(Node* node);
  void remove(Node* leaf);

  PagePool& pool_;
  Node root_;
  std::list<Node*> idle_;  // that nobody holds, released longest ago first
};

}  // namespace hearth::sched
