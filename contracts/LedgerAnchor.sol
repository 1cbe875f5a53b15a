// SPDX-License-Identifier: UNLICENSED
pragma solidity 0.8.37;

/// @title The last anchored state of one ledger
/// @notice Holds the size and RFC 6962 root of one append-only log and moves only forward. Each ledger has its own
/// deployment. Earlier anchors are events; every event names the block of the one before it, so that all of them can be
/// read back from the newest without searching the chain.
///
/// Invariant: `size` only grows, and each anchor states the size it follows. A transaction that is sent twice, or was
/// decided on an old view of the chain, reverts.
///
/// Only the newest root is stored. A log that only grows has every earlier entry in its newest tree as well, so a proof
/// against the newest root always exists; keeping every root would add about 17,000 gas to each anchor.
contract LedgerAnchor {
    // One slot, so that an anchor reads and writes two slots in all.
    address public anchorer;
    uint64 private _size;
    uint32 private _block;

    bytes32 private _root;

    address public owner;
    address public pendingOwner;

    event Anchored(uint64 indexed size, bytes32 root, uint64 previousSize, uint64 previousBlock);
    event AnchorerChanged(address indexed previousAnchorer, address indexed newAnchorer);
    event OwnershipTransferStarted(address indexed owner, address indexed pendingOwner);
    event OwnershipTransferred(address indexed previousOwner, address indexed newOwner);

    error NotAnchorer();
    error NotOwner();
    error NotPendingOwner();
    error ZeroAddress();
    error PreviousSizeMismatch(uint64 anchoredSize, uint64 previousSize);
    error SizeNotLarger(uint64 anchoredSize, uint64 size);

    modifier onlyOwner() {
        if (msg.sender != owner) revert NotOwner();
        _;
    }

    /// @param initialOwner may name the anchorer and hand ownership on; cannot anchor unless it is the anchorer as well.
    /// @param initialAnchorer may anchor, and nothing else.
    constructor(address initialOwner, address initialAnchorer) {
        if (initialOwner == address(0) || initialAnchorer == address(0)) revert ZeroAddress();
        owner = initialOwner;
        anchorer = initialAnchorer;
        emit OwnershipTransferred(address(0), initialOwner);
        emit AnchorerChanged(address(0), initialAnchorer);
    }

    /// @notice Records that the log has grown from `previousSize` to `size` entries and now has this root.
    function anchor(uint64 previousSize, uint64 size, bytes32 root) external {
        if (msg.sender != anchorer) revert NotAnchorer();
        uint64 anchoredSize = _size;
        if (previousSize != anchoredSize) revert PreviousSizeMismatch(anchoredSize, previousSize);
        if (size <= anchoredSize) revert SizeNotLarger(anchoredSize, size);
        uint64 previousBlock = _block;
        _size = size;
        _block = uint32(block.number);
        _root = root;
        emit Anchored(size, root, previousSize, previousBlock);
    }

    /// @return size entries of the newest anchor, 0 before the first.
    /// @return root its RFC 6962 root.
    /// @return blockNumber the block it is in, where its event is found.
    function anchored() external view returns (uint64 size, bytes32 root, uint64 blockNumber) {
        return (_size, _root, _block);
    }

    /// @notice Whether `leafHash` is entry `index` of the tree that is anchored now.
    /// @param size of the tree the proof was made for; false when it is not the anchored one.
    /// @param leafHash SHA-256(0x00 || entry), the ledger's entry hash.
    function verifyInclusion(uint64 index, bytes32 leafHash, uint64 size, bytes32[] calldata proof)
        external
        view
        returns (bool)
    {
        return size == _size && verifyInclusionIn(_root, index, leafHash, size, proof);
    }

    /// @notice The same against any root, such as that of an earlier `Anchored` event. RFC 9162 section 2.1.3.2.
    function verifyInclusionIn(bytes32 root, uint64 index, bytes32 leafHash, uint64 size, bytes32[] calldata proof)
        public
        pure
        returns (bool)
    {
        if (index >= size) return false;
        uint64 fn = index;
        uint64 sn = size - 1;
        bytes32 r = leafHash;
        for (uint256 i = 0; i < proof.length; i++) {
            if (sn == 0) return false;
            if (fn & 1 == 1 || fn == sn) {
                r = sha256(abi.encodePacked(bytes1(0x01), proof[i], r));
                while (fn & 1 == 0 && fn != 0) {
                    fn >>= 1;
                    sn >>= 1;
                }
            } else {
                r = sha256(abi.encodePacked(bytes1(0x01), r, proof[i]));
            }
            fn >>= 1;
            sn >>= 1;
        }
        return sn == 0 && r == root;
    }

    function setAnchorer(address newAnchorer) external onlyOwner {
        if (newAnchorer == address(0)) revert ZeroAddress();
        emit AnchorerChanged(anchorer, newAnchorer);
        anchorer = newAnchorer;
    }

    /// @notice Offers ownership; it moves when the new owner accepts. Offering the zero address takes an offer back.
    function transferOwnership(address newOwner) external onlyOwner {
        pendingOwner = newOwner;
        emit OwnershipTransferStarted(owner, newOwner);
    }

    function acceptOwnership() external {
        if (msg.sender != pendingOwner) revert NotPendingOwner();
        emit OwnershipTransferred(owner, msg.sender);
        owner = msg.sender;
        pendingOwner = address(0);
    }
}
