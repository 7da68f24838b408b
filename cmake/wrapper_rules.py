"""What the wrapper of each MPI function has to do: the table that generate_wrappers.py works from.

A function that is written by hand in pmpi/*.cc needs no rule. Of the others each must be named by
exactly one rule below; a function that no rule names stops the build. Names may hold the wildcards
of fnmatch; an exact name wins over a pattern.

Kinds of wrappers (what they do once the library is active; before that all go straight to PMPI):

  raw          The arguments mean the same to Open MPI; its answer is returned as it is.
  pass         The same; an error is raised on MPI_COMM_WORLD, as Open MPI does for functions that
               act on no communicator, window or file.
  makes        As pass; makes an object of Open MPI's, whose handle its last parameter takes: the object
               is kept over a restart (pmpi/OBJECTS.md).
  window       Acts on a window (an Open MPI object). Errors are raised by Open MPI on the window. A
               request that comes out is wrapped, a group that goes in or out is translated.
  window_sync  The same, collective over the window: meets the other ranks first, so that Open MPI
               blocks for nothing that needs our message engine.
  file         Acts on a file; as window.
  file_sync    Collective over the file; as window_sync.
  local_comm   Needs a communicator only for its representation of data: any will do.
  alias        A removed or deprecated name of another function: calls that one.
  hand         Must be written by hand in pmpi/*.cc (HAND_WRITTEN, by part).
"""

PASS = """
MPI_Alloc_mem MPI_Free_mem
MPI_Dims_create
MPI_Error_class MPI_Error_string MPI_Errhandler_free
MPI_Get_address MPI_Address
MPI_Get_count MPI_Get_elements MPI_Get_elements_x
MPI_Get_library_version MPI_Get_processor_name MPI_Get_version
MPI_Info_*
MPI_Op_commutative
MPI_Pack_external MPI_Pack_external_size MPI_Unpack_external
MPI_Reduce_local
MPI_Status_set_cancelled MPI_Status_set_elements MPI_Status_set_elements_x MPI_Test_cancelled
MPI_Type_*
"""

# Answers that are no error codes (handle conversions), or whose errors no error handler sees.
RAW = """
MPI_File_c2f MPI_File_f2c MPI_Win_c2f MPI_Win_f2c
MPI_Status_c2f MPI_Status_f2c
MPI_Initialized MPI_Finalized MPI_Query_thread MPI_Is_thread_main
MPI_Wtick
MPI_T_*
"""

MAKES = """
MPI_Type_contiguous MPI_Type_vector MPI_Type_hvector MPI_Type_create_hvector
MPI_Type_indexed MPI_Type_hindexed MPI_Type_create_hindexed
MPI_Type_create_indexed_block MPI_Type_create_hindexed_block
MPI_Type_struct MPI_Type_create_struct MPI_Type_create_subarray MPI_Type_create_darray
MPI_Type_dup MPI_Type_create_resized
MPI_Type_create_f90_real MPI_Type_create_f90_complex MPI_Type_create_f90_integer
MPI_Info_create MPI_Info_dup
"""

WINDOW = """
MPI_Put MPI_Get MPI_Accumulate MPI_Get_accumulate MPI_Fetch_and_op MPI_Compare_and_swap
MPI_Rput MPI_Rget MPI_Raccumulate MPI_Rget_accumulate
MPI_Win_attach MPI_Win_detach
MPI_Win_call_errhandler MPI_Win_get_errhandler MPI_Win_set_errhandler
MPI_Win_complete
MPI_Win_delete_attr MPI_Win_get_attr MPI_Win_set_attr
MPI_Win_flush MPI_Win_flush_all MPI_Win_flush_local MPI_Win_flush_local_all
MPI_Win_get_group MPI_Win_get_info MPI_Win_get_name MPI_Win_set_name
MPI_Win_lock MPI_Win_lock_all MPI_Win_unlock MPI_Win_unlock_all
MPI_Win_shared_query MPI_Win_sync MPI_Win_test
"""

WINDOW_SYNC = "MPI_Win_fence MPI_Win_set_info"

FILE = """
MPI_File_call_errhandler MPI_File_get_errhandler
MPI_File_get_amode MPI_File_get_atomicity MPI_File_get_byte_offset MPI_File_get_group
MPI_File_get_info MPI_File_get_position MPI_File_get_position_shared MPI_File_get_size
MPI_File_get_type_extent MPI_File_get_view
MPI_File_seek
MPI_File_*_end
MPI_File_read MPI_File_read_at MPI_File_read_shared
MPI_File_write MPI_File_write_at MPI_File_write_shared
MPI_File_iread MPI_File_iread_at MPI_File_iread_shared MPI_File_iread_all MPI_File_iread_at_all
MPI_File_iwrite MPI_File_iwrite_at MPI_File_iwrite_shared MPI_File_iwrite_all
MPI_File_iwrite_at_all
"""

FILE_SYNC = """
MPI_File_preallocate MPI_File_set_size MPI_File_set_info MPI_File_set_view
MPI_File_set_atomicity MPI_File_sync MPI_File_seek_shared
MPI_File_read_all MPI_File_read_at_all MPI_File_read_ordered
MPI_File_write_all MPI_File_write_at_all MPI_File_write_ordered
MPI_File_*_begin
"""

LOCAL_COMM = "MPI_Pack MPI_Unpack MPI_Pack_size"

ALIAS = {
    "MPI_Attr_delete": "MPI_Comm_delete_attr",
    "MPI_Attr_get": "MPI_Comm_get_attr",
    "MPI_Attr_put": "MPI_Comm_set_attr",
    "MPI_Keyval_create": "MPI_Comm_create_keyval",
    "MPI_Keyval_free": "MPI_Comm_free_keyval",
    "MPI_Errhandler_create": "MPI_Comm_create_errhandler",
    "MPI_Errhandler_get": "MPI_Comm_get_errhandler",
    "MPI_Errhandler_set": "MPI_Comm_set_errhandler",
}

# By the part of pmpi/ that has them.
HAND_WRITTEN = {
    "start, end, time": """
        MPI_Init MPI_Init_thread MPI_Finalize MPI_Abort MPI_Wtime MPI_Pcontrol
    """,
    "point-to-point": """
        MPI_Send MPI_Bsend MPI_Ssend MPI_Rsend MPI_Isend MPI_Ibsend MPI_Issend MPI_Irsend
        MPI_Send_init MPI_Bsend_init MPI_Ssend_init MPI_Rsend_init
        MPI_Recv MPI_Irecv MPI_Recv_init MPI_Sendrecv MPI_Sendrecv_replace
        MPI_Probe MPI_Iprobe MPI_Mprobe MPI_Improbe MPI_Mrecv MPI_Imrecv
        MPI_Message_c2f MPI_Message_f2c MPI_Buffer_attach MPI_Buffer_detach
    """,
    "requests": """
        MPI_Wait MPI_Waitall MPI_Waitany MPI_Waitsome MPI_Test MPI_Testall MPI_Testany MPI_Testsome
        MPI_Start MPI_Startall MPI_Cancel MPI_Request_free MPI_Request_get_status MPI_Request_c2f
        MPI_Request_f2c MPI_Grequest_start MPI_Grequest_complete
    """,
    "communicators": """
        MPI_Comm_* MPI_Intercomm_create MPI_Intercomm_merge
    """,
    "dynamic processes": """
        MPI_Comm_spawn MPI_Comm_spawn_multiple MPI_Comm_accept MPI_Comm_connect MPI_Comm_join
        MPI_Comm_get_parent MPI_Open_port MPI_Close_port MPI_Publish_name MPI_Unpublish_name
        MPI_Lookup_name
    """,
    "groups": "MPI_Group_*",
    "topologies": """
        MPI_Cart_* MPI_Cartdim_get MPI_Graph_* MPI_Graphdims_get MPI_Dist_graph_* MPI_Topo_test
    """,
    "collectives": """
        MPI_Allgather MPI_Allgatherv MPI_Allreduce MPI_Alltoall MPI_Alltoallv MPI_Alltoallw
        MPI_Barrier MPI_Bcast MPI_Exscan MPI_Gather MPI_Gatherv MPI_Reduce MPI_Reduce_scatter
        MPI_Reduce_scatter_block MPI_Scan MPI_Scatter MPI_Scatterv MPI_Neighbor_*
        MPI_Iallgather MPI_Iallgatherv MPI_Iallreduce MPI_Ialltoall MPI_Ialltoallv MPI_Ialltoallw
        MPI_Ibarrier MPI_Ibcast MPI_Iexscan MPI_Igather MPI_Igatherv MPI_Ireduce
        MPI_Ireduce_scatter MPI_Ireduce_scatter_block MPI_Iscan MPI_Iscatter MPI_Iscatterv
        MPI_Ineighbor_*
    """,
    "datatypes": "MPI_Type_commit MPI_Type_free MPI_Type_get_contents",
    "Fortran's integers": """
        MPI_Errhandler_c2f MPI_Errhandler_f2c MPI_Info_c2f MPI_Info_f2c MPI_Op_c2f MPI_Op_f2c
        MPI_Type_c2f MPI_Type_f2c
    """,
    "error handlers and codes": """
        MPI_Add_error_class MPI_Add_error_code MPI_Add_error_string
        MPI_File_create_errhandler MPI_Win_create_errhandler
    """,
    "reductions": "MPI_Op_create MPI_Op_free",
    "keyvals": """
        MPI_Type_create_keyval MPI_Type_free_keyval MPI_Win_create_keyval MPI_Win_free_keyval
    """,
    "one-sided": """
        MPI_Win_create MPI_Win_create_dynamic MPI_Win_allocate MPI_Win_allocate_shared MPI_Win_free
        MPI_Win_post MPI_Win_start MPI_Win_wait
    """,
    "files": """
        MPI_File_open MPI_File_close MPI_File_delete MPI_File_set_errhandler MPI_Register_datarep
    """,
    "tools": "MPI_T_cvar_handle_alloc MPI_T_pvar_handle_alloc MPI_T_pvar_session_create",
}

KINDS = {
    "pass": PASS,
    "raw": RAW,
    "makes": MAKES,
    "window": WINDOW,
    "window_sync": WINDOW_SYNC,
    "file": FILE,
    "file_sync": FILE_SYNC,
    "local_comm": LOCAL_COMM,
}

# Where a kind's wrappers go: output file stem by the first pattern that fits.
FILES = [
    ("wrappers_windows", {"window", "window_sync"}, "*"),
    ("wrappers_files", {"file", "file_sync"}, "*"),
    ("wrappers_datatypes", {"pass", "raw", "makes"}, "MPI_Type_*"),
    ("wrappers_tools", {"pass", "raw"}, "MPI_T_*"),
    ("wrappers_missing", {"hand"}, "*"),
    ("wrappers_other", {"pass", "raw", "makes", "local_comm", "alias"}, "*"),
]

# Symbols of the MPI library with a mixed-case MPI_ name that are no C functions of the interface.
NOT_FUNCTIONS = "MPI_F_*"
